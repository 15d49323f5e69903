// Uses the TypeScript types that are generated of our description: reads a URL and a key, and prints what it got.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

const [url, key] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: url, headers: { authorization: `Bearer ${key}` } });

const tree: components["schemas"]["Filter"] = {
  and: [
    { attribute: { field: "plan", operator: "eq", value: "pro" } },
    { device: { match: "any", attribute: { field: "platform", operator: "eq", value: "ios" } } },
  ],
};
const counted = await client.POST("/api/v1/audiences/count", { body: { filter: tree } });
const made = await client.POST("/api/v1/templates", {
  body: { kind: "transactional", name: "Welcome", title: "Hello", translations: { de: { title: "Hallo" } } },
});
const devices = await client.GET("/api/v1/devices", { params: { query: { limit: 10 } } });
const missing = await client.GET("/api/v1/templates/{id}", { params: { path: { id: "999999" } } });
const people: number | undefined = counted.data?.people;
console.log(
  JSON.stringify({
    people,
    template: made.data?.template.translations,
    devices: devices.data?.devices.map((device) => device.platform),
    error: missing.error?.error.code,
  }),
);

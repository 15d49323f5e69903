// Shows the pushes of Pushkeeper in a browser, and reports when they are delivered, opened and clicked.
// Copy it to the root of your site, and register it as /cio-webpush-sw.js?track=<address of Pushkeeper>.

const TRACK = (new URL(self.location.href).searchParams.get("track") || "").replace(/\/$/, "");
const ACTION = /^[a-z0-9_-]{1,32}$/;

self.addEventListener("install", (event) => event.waitUntil(self.skipWaiting()));
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

// A text body needs no preflight request, and a report that fails must not fail what it reports.
async function report(push, event, action) {
  if (!TRACK || !push.delivery || !push.device) return;
  const seconds = Math.floor(Date.now() / 1000);
  const body = { delivery_id: push.delivery, device_id: push.device, event, timestamp: seconds };
  if (action) body.action = action;
  try {
    await fetch(`${TRACK}/push/events`, { method: "POST", body: JSON.stringify(body), keepalive: true });
  } catch (error) {
    console.warn("Pushkeeper: the report was not sent.", error);
  }
}

function read(event) {
  try {
    const payload = event.data.json();
    // Both keys are in every push of Pushkeeper; others are left to the worker's other handlers.
    return payload && payload["CIO-Delivery-ID"] && payload["CIO-Delivery-Token"] ? payload : null;
  } catch {
    return null;
  }
}

function actionsOf(payload) {
  const given = Array.isArray(payload.actions) ? payload.actions : [];
  const valid = given.filter((one) => one && ACTION.test(one.action || "") && typeof one.title === "string");
  return valid.slice(0, 2);
}

async function show(payload) {
  const push = { delivery: payload["CIO-Delivery-ID"], device: payload["CIO-Delivery-Token"] };
  const actions = actionsOf(payload);
  const links = Object.fromEntries(actions.filter((one) => one.url).map((one) => [one.action, one.url]));
  await self.registration.showNotification(payload.title || "", {
    body: payload.body,
    icon: payload.icon,
    badge: payload.badge,
    image: payload.image,
    actions: actions.map(({ action, title }) => ({ action, title })),
    // A push that is sent twice replaces itself.
    tag: push.delivery,
    data: { push, links, link: payload.link, custom: payload.data },
  });
  await report(push, "delivered");
}

self.addEventListener("push", (event) => {
  const payload = read(event);
  if (payload) event.waitUntil(show(payload));
});

async function open(link) {
  const url = new URL(link || "/", self.location.origin);
  if (url.protocol !== "https:" && url.origin !== self.location.origin) return;
  for (const client of await self.clients.matchAll({ type: "window", includeUncontrolled: true })) {
    if (client.url === url.href) return client.focus();
  }
  await self.clients.openWindow(url.href);
}

self.addEventListener("notificationclick", (event) => {
  const { push, links, link } = event.notification.data || {};
  event.notification.close();
  if (!push) return;
  const reports = event.action ? [report(push, "clicked", event.action)] : [report(push, "opened")];
  event.waitUntil(Promise.all([open(links[event.action] || link), ...reports]));
});

// Pages register the new subscription; the browser may end one at any time.
self.addEventListener("pushsubscriptionchange", (event) => {
  const told = async () => {
    for (const client of await self.clients.matchAll({ type: "window", includeUncontrolled: true })) {
      client.postMessage({ type: "cio-webpush-subscriptionchange" });
    }
  };
  event.waitUntil(told());
});

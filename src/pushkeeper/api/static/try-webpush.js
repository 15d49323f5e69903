// Makes this browser a device of a workspace: what a site without Customer.io's SDK does, in one file.

const parameters = new URL(location.href).searchParams;
const shown = document.getElementById("status");
const person = document.getElementById("person");
const key = document.getElementById("key");
key.value = parameters.get("key") || "";
person.value = parameters.get("person") || person.value;

function say(text, state) {
  shown.textContent = text;
  shown.dataset.state = state;
}

function bytes(text) {
  const padded = text.replace(/-/g, "+").replace(/_/g, "/");
  return Uint8Array.from(atob(padded), (letter) => letter.charCodeAt(0));
}

function same(one, other) {
  const [a, b] = [new Uint8Array(one), new Uint8Array(other)];
  return a.length === b.length && a.every((value, place) => value === b[place]);
}

async function publicKey() {
  const answer = await fetch(`/v1/projects/${encodeURIComponent(key.value)}/settings`);
  if (!answer.ok) throw new Error("No workspace has this write key.");
  const plugin = (await answer.json()).integrations["Customer.io Web Push Plugin"];
  if (!plugin) throw new Error("This workspace has no VAPID key: pushkeeper credentials add webpush");
  return bytes(plugin.vapidPublicKey);
}

// A subscription with a former key is ended, so that the browser moves to the present one.
async function subscribe(worker, wanted) {
  const known = await worker.pushManager.getSubscription();
  if (known && known.options.applicationServerKey && !same(known.options.applicationServerKey, wanted)) {
    await track("Device Deleted", known);
    await known.unsubscribe();
  } else if (known) {
    return known;
  }
  return worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: wanted });
}

async function track(event, subscription, properties) {
  const body = {
    type: "track",
    event,
    userId: person.value,
    properties: properties || {},
    context: { device: { token: subscription.endpoint, type: "web" } },
    writeKey: key.value,
  };
  const answer = await fetch("/v1/t", { method: "POST", body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`Registering failed with status ${answer.status}.`);
}

async function register() {
  if ((await Notification.requestPermission()) !== "granted") {
    throw new Error("Notifications are blocked for this site.");
  }
  const wanted = await publicKey();
  const url = `/try/cio-webpush-sw.js?track=${encodeURIComponent(location.origin)}`;
  await navigator.serviceWorker.register(url);
  const worker = await navigator.serviceWorker.ready;
  const subscription = await subscribe(worker, wanted);
  const { keys } = subscription.toJSON();
  await track("Device Created or Updated", subscription, {
    webpush_p256dh: keys.p256dh,
    webpush_auth: keys.auth,
    user_agent: navigator.userAgent,
  });
  say(`This browser is a device of ${person.value}.`, "registered");
}

document.getElementById("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!("PushManager" in window)) {
    say("This browser has no Web Push.", "failed");
    return;
  }
  say("Registering…", "working");
  register().catch((error) => say(error.message, "failed"));
});

navigator.serviceWorker?.addEventListener("message", (event) => {
  if (event.data?.type === "cio-webpush-subscriptionchange") register().catch((error) => say(error.message, "failed"));
});

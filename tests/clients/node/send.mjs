// Sends through libraries that others wrote for FCM and APNs, unmodified: only the endpoint and the CA are the
// simulator's. What to send comes as JSON on standard input; what came of each message goes out as JSON: `sent`, or the
// library's own name for the error.
import { readFileSync } from 'node:fs';
import tls from 'node:tls';
import { ApnsClient, Notification } from 'apns2';
import apn from '@parse/node-apn';
import { cert, deleteApp, initializeApp } from 'firebase-admin/app';
import { getMessaging } from 'firebase-admin/messaging';

const { simulator, calls } = JSON.parse(readFileSync(0, 'utf8'));
const title = 'Hello';

// firebase-admin and apns2 have their hosts as constants: their connections are led to the simulator's ports.
const places = {
  'fcm.googleapis.com': simulator.fcm_url,
  'iid.googleapis.com': simulator.fcm_url,
  'oauth2.googleapis.com': simulator.oauth_url,
  'api.push.apple.com': simulator.apns_url,
};
const connect = tls.connect;
tls.connect = (...given) => {
  const [port, host] = typeof given[0] === 'object' ? [given[0].port, given[0].host] : given;
  const place = places[host];
  if (!place) return connect(...given);
  const { hostname, port: to } = new URL(place);
  const options = given.find((one) => typeof one === 'object') ?? {};
  const done = given.filter((one) => typeof one === 'function');
  return connect({ ...options, port: Number(to), host: hostname, servername: hostname }, ...done);
};

const named = (error) => error.code ?? error.reason ?? String(error);

const each = async (messages, send) => {
  const outcomes = [];
  for (const message of messages) {
    try {
      await send(message);
      outcomes.push('sent');
    } catch (error) {
      outcomes.push(named(error));
    }
  }
  return outcomes;
};

const firebaseMessage = ({ token, body }) => ({ token, notification: { title, body }, android: { priority: 'high', ttl: 60_000 } });
const responses = (sent) => sent.responses.map((one) => (one.success ? 'sent' : one.error.code));

const firebase = (work) => async (keyFile, messages, dryRun) => {
  const app = initializeApp({ credential: cert(keyFile) }, keyFile);
  try {
    return await work(getMessaging(app), messages, dryRun);
  } finally {
    await deleteApp(app);
  }
};

const nodeApn = (keyFile) => {
  const { hostname, port } = new URL(simulator.apns_url);
  return new apn.Provider({
    token: { key: keyFile, keyId: simulator.apns_key_id, teamId: simulator.apns_team_id },
    address: hostname,
    port: Number(port),
    manageChannelsAddress: hostname,
    manageChannelsPort: Number(port),
    ca: readFileSync(simulator.ca_file),
    production: true,
  });
};
const refused = ({ status, response: said, error }) => ({ code: status ? `${status} ${said.reason}` : String(error) });

const libraries = {
  'firebase-admin': firebase((messaging, messages, dryRun) =>
    each(messages, (message) => messaging.send(firebaseMessage(message), dryRun))),
  'firebase-admin each': firebase((messaging, messages, dryRun) =>
    messaging.sendEach(messages.map(firebaseMessage), dryRun).then(responses)),
  'firebase-admin multicast': firebase(async (messaging, messages, dryRun) => {
    const outcomes = [];
    for (const body of new Set(messages.map((message) => message.body))) {
      const tokens = messages.filter((message) => message.body === body).map((message) => message.token);
      const sent = await messaging.sendEachForMulticast({ tokens, notification: { title, body } }, dryRun);
      outcomes.push(...responses(sent));
    }
    return outcomes;
  }),
  'firebase-admin topics': firebase(async (messaging, messages) => {
    const tokens = messages.map((message) => message.token);
    const { errors } = await messaging.subscribeToTopic(tokens, 'news');
    return tokens.map((_, index) => errors.find((one) => one.index === index)?.error.code ?? 'sent');
  }),
  '@parse/node-apn': async (keyFile, messages) => {
    const provider = nodeApn(keyFile);
    try {
      return await each(messages, async ({ token, body }) => {
        const note = new apn.Notification({ alert: { title, body }, topic: simulator.apns_topic });
        const { failed } = await provider.send(note, token);
        for (const one of failed) throw refused(one);
      });
    } finally {
      await provider.shutdown();
    }
  },
  // To a channel of its own in place of each token.
  '@parse/node-apn channels': async (keyFile, messages) => {
    const provider = nodeApn(keyFile);
    const topic = simulator.apns_topic;
    try {
      return await each(messages, async ({ body }) => {
        const made = await provider.manageChannels(new apn.Notification({ payload: { 'message-storage-policy': 1 } }), topic, 'create');
        for (const one of made.failed) throw refused(one);
        const note = new apn.Notification({ aps: { event: 'update', 'content-state': { body } }, pushType: 'liveactivity' });
        note.channelId = made.sent[0]['apns-channel-id'];
        const { failed } = await provider.broadcast(note, topic);
        for (const one of failed) throw refused(one);
      });
    } finally {
      await provider.shutdown();
    }
  },
  apns2: async (keyFile, messages) => {
    const client = new ApnsClient({
      team: simulator.apns_team_id,
      keyId: simulator.apns_key_id,
      signingKey: readFileSync(keyFile, 'utf8'),
      defaultTopic: simulator.apns_topic,
    });
    try {
      return await each(messages, ({ token, body }) => client.send(new Notification(token, { alert: { title, body } })));
    } finally {
      await client.close();
    }
  },
};

const answers = [];
for (const [library, keyFile, messages, dryRun] of calls) {
  try {
    answers.push(await libraries[library](keyFile, messages, dryRun));
  } catch (error) {
    answers.push(messages.map(() => named(error)));
  }
}
process.stdout.write(JSON.stringify(answers));

// Makes one of Customer.io's own clients and calls it, as a test says in JSON on standard input; answers in JSON.
import { readFileSync } from 'node:fs';

const { module, make, calls } = JSON.parse(readFileSync(0, 'utf8'));
const library = await import(module);

// {"$new": ["SendPushRequest", …]} is an object of the library's own.
const revived = (value) => {
  if (Array.isArray(value)) return value.map(revived);
  if (value && typeof value === 'object') {
    if (value.$new) return new library[value.$new[0]](...value.$new.slice(1).map(revived));
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, revived(inner)]));
  }
  return value;
};

const client = new library[make[0]](...make.slice(1).map(revived));
const answers = [];
for (const [method, ...given] of calls) {
  try {
    answers.push({ answer: (await client[method](...given.map(revived))) ?? null });
  } catch (error) {
    answers.push({ error: { status: error.statusCode ?? null, message: String(error.message) } });
  }
}
process.stdout.write(JSON.stringify(answers, (_, value) => (value === client ? undefined : value)));

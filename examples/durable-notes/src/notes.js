/**
 * A list of notes that all open pages share: a JSON stream, which each page reads from its beginning and
 * then follows.
 */
import { DurableStream, IdempotentProducer } from '@durable-streams/client';
import './notes.css';

const url = new URL('/v1/durable/notes', location.href).href;
const list = document.querySelector('ol');
const status = document.querySelector('[role=status]');

// The same PUT from every page: it creates the stream, or finds it.
const notes = await DurableStream.create({ url, contentType: 'application/json' });

// With the numbers of a producer, a request that is sent again after a lost answer appends nothing twice.
const producer = new IdempotentProducer(notes, crypto.randomUUID(), {
  onError: (error) => (status.textContent = error.message),
});

document.querySelector('form').addEventListener('submit', (event) => {
  event.preventDefault();
  const form = event.currentTarget;
  const text = new FormData(form).get('text');
  producer.append(JSON.stringify({ text, at: new Date().toISOString() }));
  form.reset();
});

const live = await notes.stream({ offset: '-1', live: 'sse' });
live.subscribeJson(({ items }) => {
  for (const { text, at } of items) {
    const item = document.createElement('li');
    item.textContent = text;
    item.title = at;
    list.append(item);
  }
  status.textContent = `${list.children.length} notes`;
});

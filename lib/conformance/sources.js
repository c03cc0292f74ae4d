/** The sources of the rules, quoted from specifications. */

/**
 * @typedef {object} Quote
 * @property {string} title of the document, with the section
 * @property {string} url
 * @property {string} text in the words of the document
 */

const HTML = 'https://html.spec.whatwg.org/multipage/server-sent-events.html';
const RFC9110 = 'https://www.rfc-editor.org/rfc/rfc9110.html';
const AI_SDK = 'https://ai-sdk.dev/docs/ai-sdk-ui/chatbot-resume-streams';
const OPENAI_BACKGROUND = 'https://platform.openai.com/docs/guides/background';
const LLAMA = 'https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README-dev.md';
const DURABLE = 'https://github.com/durable-streams/durable-streams/blob/main/PROTOCOL.md';
const SLUICE = 'docs/http.md of sluice';

/** @param {string} section @param {string} anchor @param {string} text @returns {Quote} */
const html = (section, anchor, text) => ({
  title: `WHATWG HTML, server-sent events, ${section}`,
  url: `${HTML}#${anchor}`,
  text,
});

/** @param {string} section @param {string} text @returns {Quote} */
const http = (section, text) => ({
  title: `RFC 9110, section ${section}`,
  url: `${RFC9110}#section-${section}`,
  text,
});

/** @param {string} title @param {string} text @returns {Quote} */
const own = (title, text) => ({ title, url: SLUICE, text });

/** @param {string} text @returns {Quote} */
const aiSdk = (text) => ({ title: 'AI SDK, Chatbot Resume Streams', url: AI_SDK, text });

/** @param {string} text @returns {Quote} */
const openai = (text) => ({ title: 'OpenAI, Background mode', url: OPENAI_BACKGROUND, text });

/** @param {string} text @returns {Quote} */
const llama = (text) => ({ title: 'llama-server, Resumable streaming', url: LLAMA, text });

/** @param {string} section @param {string} text @returns {Quote} */
const durable = (section, text) => ({
  title: `Durable Streams Protocol 1.0, section ${section}`,
  url: DURABLE,
  text,
});

export const QUOTES = Object.freeze({
  contentType: html(
    'the EventSource interface',
    'sse-processing-model',
    "If res's status is not 200, or if res's `Content-Type` is not `text/event-stream`, then fail the connection.",
  ),
  noCache: {
    title: 'RFC 9111, section 5.2.2.4',
    url: 'https://www.rfc-editor.org/rfc/rfc9111.html#section-5.2.2.4',
    text: 'The no-cache response directive, in its unqualified form (without an argument), indicates that the response MUST NOT be used to satisfy any other request without forwarding it for validation and receiving a successful response.',
  },
  utf8: html(
    'parsing an event stream',
    'parsing-an-event-stream',
    'Event streams in this format must always be encoded as UTF-8.',
  ),
  grammar: html(
    'parsing an event stream',
    'parsing-an-event-stream',
    'stream = [ bom ] *event; event = *( comment / field ) end-of-line; field = 1*name-char [ colon [ space ] *any-char ] end-of-line',
  ),
  incomplete: html(
    'interpreting an event stream',
    'event-stream-interpretation',
    'Once the end of the file is reached, any pending data must be discarded. (If the file ends in the middle of an event, before the final empty line, the incomplete event is not dispatched.)',
  ),
  bom: html(
    'parsing an event stream',
    'parsing-an-event-stream',
    'The UTF-8 decode algorithm strips one leading UTF-8 Byte Order Mark (BOM), if any.',
  ),
  lines: html(
    'parsing an event stream',
    'parsing-an-event-stream',
    'Lines must be separated by either a U+000D CARRIAGE RETURN U+000A LINE FEED (CRLF) character pair, a single U+000A LINE FEED (LF) character, or a single U+000D CARRIAGE RETURN (CR) character.',
  ),
  data: html(
    'interpreting an event stream',
    'event-stream-interpretation',
    'If the field name is "data": Append the field value to the data buffer, then append a single U+000A LINE FEED (LF) character to the data buffer.',
  ),
  comment: html(
    'interpreting an event stream',
    'event-stream-interpretation',
    'If the line starts with a U+003A COLON character (:): Ignore the line.',
  ),
  chunking: html(
    'authoring notes',
    'authoring-notes',
    'Authors are also cautioned that HTTP chunking can have unexpected negative effects on the reliability of this protocol, in particular if the chunking is done by a different layer unaware of the timing requirements.',
  ),
  keepAlive: html(
    'authoring notes',
    'authoring-notes',
    "To protect against such proxy servers, authors can include a comment line (one starting with a ':' character) every 15 seconds or so.",
  ),
  lastEventId: html(
    'the Last-Event-ID header',
    'the-last-event-id-header',
    "The `Last-Event-ID` HTTP request header reports an EventSource object's last event ID string to the server when the user agent is to reestablish the connection.",
  ),
  stop: html(
    'introduction',
    'server-sent-events-intro',
    'Clients will reconnect if the connection is closed; a client can be told to stop reconnecting using the HTTP 204 No Content response code.',
  ),
  chunked: {
    title: 'RFC 9112, section 8',
    url: 'https://www.rfc-editor.org/rfc/rfc9112.html#section-8',
    text: 'A message body that uses the chunked transfer coding is incomplete if the zero-sized chunk that terminates the encoding has not been received.',
  },
  notFound: http(
    '15.5.5',
    'The 404 (Not Found) status code indicates that the origin server did not find a current representation for the target resource or is not willing to disclose that one exists.',
  ),
  badRequest: http(
    '15.5.1',
    'The 400 (Bad Request) status code indicates that the server cannot or will not process the request due to something that is perceived to be a client error.',
  ),
  unavailable: http(
    '15.6.4',
    'The 503 (Service Unavailable) status code indicates that the server is currently unable to handle the request due to a temporary overload or scheduled maintenance, which will likely be alleviated after some delay.',
  ),
  idempotent: http(
    '9.2.2',
    'A request method is considered "idempotent" if the intended effect on the server of multiple identical requests with that method is the same as the effect for a single such request.',
  ),
  idempotencyKey: {
    title: 'IETF draft, The Idempotency-Key HTTP Header Field, section 2.7',
    url: 'https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/',
    text: 'If there is an attempt to reuse an idempotency key with a different request payload, the resource SHOULD reply with an HTTP 422 status code.',
  },
  terminal: own('The stream', 'After the terminal event the server ends the response.'),
  oneTerminal: own(
    'The stream',
    'job_complete, job_error, job_cancelled: terminal. A job has exactly one terminal event, under any race.',
  ),
  cursor: own('The stream', 'To resume, send the last id as Last-Event-ID.'),
  queryCursor: own('The stream', 'or as last_event_id in the query'),
  gap: own('The stream', 'gap: a part of the requested events is missing'),
  cancel: own('HTTP', 'POST /v1/jobs/{id}/cancel: 200 the job; no effect on an ended job'),
  policy: own(
    'Submitting',
    'on_disconnect: cancel or continue, the action after the last reader has disconnected; disconnect_grace_ms: how long cancel waits for a reader to reconnect',
  ),
  fanIn: own(
    'The stream',
    'On /v1/events an id is a cursor over the whole set, job_a:1-5,job_b:1-2.',
  ),
  slow: own(
    'Backpressure',
    'A subscriber without progress for stallMs (10 s) is disconnected, so it cannot hold the others; it may resume.',
  ),
  drain: own('Closing', 'every job ends with its terminal event'),
  queued: own(
    'HTTP',
    'Cancel works in every phase: queued, before the first token, mid-stream; upstream is closed.',
  ),
  openaiCursor: openai(
    'You will want to keep track of a "cursor" corresponding to the sequence_number you receive in each streaming event.',
  ),
  openaiCancel: openai(
    'Cancelling twice is idempotent - subsequent calls simply return the final Response object.',
  ),
  openaiBackground: openai(
    'This may be helpful if you expect the client to drop the stream and want the option of picking it back up later.',
  ),
  aiSdkIdle: aiSdk('Returns 204 (No Content) if no stream is active'),
  aiSdkResume: aiSdk(
    'If the user refreshes the page, closes the tab, loses their connection, or navigates away, the client can reconnect later with `resumeStream()`.',
  ),
  aiSdkRunsOn: aiSdk(
    'To make that possible, the server keeps the stream running even when no client is actively consuming it.',
  ),
  aiSdkStop: aiSdk(
    'The endpoint should accept the current assistant message from the client, persist that partial response, cancel the work that is producing the stream, and clear the active stream record for the chat.',
  ),
  llamaCursor: llama(
    'GET /v1/stream?conv_id=<id>&from=N opens a text/event-stream that replays buffered bytes from offset N and blocks for live bytes, so the browser reattaches like a fresh EventSource.',
  ),
  llamaTrimmed: llama('An offset below the dropped prefix returns 400.'),
  llamaRunsOn: llama(
    'While attached, should_stop ignores peer disconnect: only a DELETE stops generation.',
  ),
  llamaCancel: llama(
    'DELETE /v1/stream?conv_id=<id>: explicit Stop, idempotent (evict_and_cancel).',
  ),
  durableOffsets: durable(
    '6',
    'Offsets remain valid for the lifetime of the stream (until deletion or expiration). Each offset identifies exactly one position in the stream.',
  ),
  durableReconnect: durable(
    '5.7',
    'Client MUST reconnect using the last received streamNextOffset value from the control event',
  ),
  durableOrder: durable('4', 'Bytes at a given offset never change; new data is only appended'),
  durableMissing: durable('5.7', '404 Not Found: Stream does not exist'),
  durableBad: durable(
    '5.7',
    '400 Bad Request: Content type incompatible with SSE or invalid parameters',
  ),
});

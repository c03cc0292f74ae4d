/** Notes on the reasons of a completed answer. @type {Readonly<Record<string, string>>} */
export const REASON_NOTES = Object.freeze({
  length: 'Stopped at the requested length.',
  tool_calls: 'The model asks for the results of its tool calls.',
  content_filter: 'Stopped by the content filter of the model.',
});

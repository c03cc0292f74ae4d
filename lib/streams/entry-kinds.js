import { nativeNumbers } from '../internal/native/numbers.js';

/** The kinds of entries in a log; native/core/streams/event_log.h describes them. */
export const EntryKind = nativeNumbers('enums.EntryKind', [
  'text',
  'reasoning',
  'refusal',
  'tool_call',
  'tool_arguments',
  'extra',
]);

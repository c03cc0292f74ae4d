/**
 * What V8 is told of the heap in a process that does nothing but serve. Main thread, once, before
 * the first connection.
 *
 * What a request leaves behind lives longer than V8's young generation: by itself V8 lets the old one
 * about double before it collects, and of two thirds of a stream's memory nothing is in use. To let it
 * grow by a fifth costs collections while streams are opened, and none while they run: tokens
 * are not on the heap. A process that has other work too decides for itself.
 */
import v8 from 'node:v8';

const kFlag = '--heap-growing-percent';

/** For whoever starts a process with it. */
export const heapFlag = `${kFlag}=20`;

/** Does not change what the process was started with. */
export function keepHeapSmall() {
  const given = process.execArgv.some((flag) => flag.replaceAll('_', '-').startsWith(kFlag));
  if (!given) v8.setFlagsFromString(heapFlag);
}

/** A logger that writes nothing. */
const nothing = () => {};
export const silent = { debug: nothing, info: nothing, warn: nothing, error: nothing };

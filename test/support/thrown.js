/** @returns {Promise<any>} the error that a call throws, or rejects with */
export async function thrown(call) {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

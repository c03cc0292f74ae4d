/** The parts of a job's answer besides its text. */

/**
 * @typedef {{id: string, type: 'function', function: {name: string, arguments: string}}} ToolCall
 * @typedef {'reasoning' | 'refusal' | 'tool_call' | 'extra'} PartEvent
 */

/** The events of parts, by event name. @type {ReadonlySet<string>} */
export const PART_EVENTS = new Set(['reasoning', 'refusal', 'tool_call', 'extra']);

/** Reasoning, refusal and tool calls of one attempt, as received so far. */
export class AnswerParts {
  reasoning = '';
  refusal = '';
  /** A new array after each change. @type {readonly ToolCall[]} */
  toolCalls = [];

  /**
   * Adds an event.
   * @param {PartEvent} type
   * @param {any} data data of the event
   * @returns {any} the first argument of listeners to `type`
   */
  add(type, data) {
    switch (type) {
      case 'reasoning':
        this.reasoning += data.reasoning;
        return data.reasoning;
      case 'refusal':
        this.refusal += data.refusal;
        return data.refusal;
      case 'tool_call':
        return this.#addCall(data);
      default:
        return data.delta;
    }
  }

  /** @param {{index: number, id?: string, name?: string, arguments: string}} data */
  #addCall({ index, id, name, arguments: more }) {
    const calls = [...this.toolCalls];
    const known = calls[index];
    calls[index] = {
      id: id ?? known?.id ?? '',
      type: 'function',
      function: {
        name: name ?? known?.function.name ?? '',
        arguments: (known?.function.arguments ?? '') + more,
      },
    };
    this.toolCalls = calls;
    return {
      index,
      ...(id !== undefined && { id }),
      ...(name !== undefined && { name }),
      arguments: more,
    };
  }

  /**
   * The events that turn these parts into those of a job's view.
   * @param {{reasoning?: string, refusal?: string, tool_calls?: ToolCall[]}} view
   * @returns {{type: PartEvent, data: any}[] | null} null: they do not match the beginning of the view's parts
   */
  missing(view) {
    const events = [];
    for (const name of /** @type {const} */ (['reasoning', 'refusal'])) {
      const whole = view[name] ?? '';
      if (!whole.startsWith(this[name])) return null;
      const rest = whole.slice(this[name].length);
      if (rest !== '') events.push({ type: name, data: { [name]: rest } });
    }
    const calls = view.tool_calls ?? [];
    if (calls.length < this.toolCalls.length) return null;
    for (const [index, call] of calls.entries()) {
      const known = this.toolCalls[index];
      const before = known?.function.arguments ?? '';
      const whole = call.function.arguments;
      if ((known && known.id !== call.id) || !whole.startsWith(before)) return null;
      const opening = known ? {} : { id: call.id, name: call.function.name };
      const rest = whole.slice(before.length);
      if (known && rest === '') continue;
      const data = { index, ...opening, arguments: rest };
      events.push({ type: /** @type {const} */ ('tool_call'), data });
    }
    return events;
  }
}

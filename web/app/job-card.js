/**
 * One job on the page: it listens to a client's Job and draws it, at most once per frame. Its removal
 * from the page ends it.
 */

import { AnswerBlocks } from './chat/answer-blocks.js';
import { Flow } from './flow.js';
import { duration, excerpt, plural, rate } from './format.js';
import { nextFrame } from './frame.js';
import { Meter } from './meter.js';
import { REASON_NOTES } from './reasons.js';
import { TextPane } from './text-pane.js';

/** @typedef {import('../client.js').Job} Job */

const AWAY_TICK_MS = 250;

/** @type {Record<string, string>} */
const STATES = {
  queued: 'Queued',
  running: 'Streaming',
  completed: 'Complete',
  failed: 'Failed',
  cancelled: 'Cancelled',
  gone: 'Gone',
};

/** @type {Record<string, string>} */
const CANCELLED = {
  client_request: 'Cancelled on request.',
  client_disconnected: 'Cancelled by the server after the last reader disconnected.',
  shutdown: 'Cancelled by a shutdown of the server.',
};

/** @type {Record<string, string>} */
const LINE = {
  idle: 'Connecting',
  connecting: 'Connecting',
  open: 'Connected',
  reconnecting: 'Reconnecting',
  closed: 'Dropped',
};

/** @param {string | null} id */
function sequence(id) {
  const [attempt, seq] = (id ?? '').split('-').map(Number);
  return { attempt, seq };
}

/** The element of one job, with its connection switch and its figures. */
export class JobCard {
  #job;
  #known;
  #say;
  #onChange;
  #parts;
  #pane;
  #blocks;
  #reasons = false;
  #flow;
  #meter;
  #pending = '';
  #cleared = false;
  #note = '';
  /** @type {'plain' | 'away' | 'bad'} */
  #tone = 'plain';
  #replayed = 0;
  #lost = 0;
  #opens = 0;
  /** @type {string | null} the event after which the latest resume continued; null before any */
  #resumedFrom = null;
  /** @type {string | null} */
  #newestId = null;
  /** @type {number | null} */
  #awaySinceMs = null;
  #ticking = 0;
  #restored;
  #render = () => this.#draw();

  /**
   * @param {Job} job
   * @param {import('./memory.js').KnownJob} known
   * @param {object} page
   * @param {number | null} page.sentAtMs the time of submission; null after a reload
   * @param {HTMLTemplateElement} page.template
   * @param {(message: string) => void} page.say
   * @param {() => void} page.onChange
   * @param {(card: JobCard) => void} page.onRemove
   */
  constructor(job, known, { sentAtMs, template, say, onChange, onRemove }) {
    this.#job = job;
    this.#known = known;
    this.#say = say;
    this.#onChange = onChange;
    this.#restored = sentAtMs === null;
    const fragment = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    this.element = /** @type {HTMLElement} */ (fragment.firstElementChild);
    this.element.dataset.jobId = job.id;
    /** @type {Record<string, HTMLElement>} */
    const parts = {};
    for (const part of this.element.querySelectorAll('[data-part]')) {
      const element = /** @type {HTMLElement} */ (part);
      parts[String(element.dataset.part)] = element;
    }
    this.#parts = parts;
    this.#pane = new TextPane(parts.text);
    this.#blocks = new AnswerBlocks(parts.text);
    const now = performance.now();
    this.#flow = new Flow(/** @type {Element} */ (this.element.querySelector('.flow')), now);
    this.#meter = new Meter(sentAtMs);
    this.#label();
    parts.line.addEventListener('click', () => this.setConnected(!this.connected));
    parts.cancel.addEventListener('click', () => void this.#cancel());
    parts.remove.addEventListener('click', () => onRemove(this));
    this.#listen();
    nextFrame(this.#render);
  }

  get job() {
    return this.#job;
  }

  get known() {
    return this.#known;
  }

  get connected() {
    return this.#job.connection !== 'closed';
  }

  /** Disconnects the stream, or resumes it at its last event. @param {boolean} on */
  setConnected(on) {
    if (this.#job.ended || on === this.connected) return;
    if (on) {
      this.#setNote('Reconnecting.', 'away');
      this.#job.reconnect();
    } else {
      this.#job.disconnect();
      this.#wentAway();
      const place = this.#job.lastEventId;
      const after = place ? `after event ${place}` : 'before the first token';
      this.#setNote(`Dropped ${after}. The job continues at the server.`, 'away');
    }
    this.#changed();
  }

  #label() {
    const { prompt, model } = this.#known;
    const { prompt: title, model: modelPart, scroller, line, cancel, remove } = this.#parts;
    const name = excerpt(prompt);
    title.textContent = prompt;
    title.title = prompt;
    modelPart.textContent = model;
    scroller.setAttribute('aria-label', `Answer to ${name}`);
    line.setAttribute('aria-label', `Connection of ${name}`);
    cancel.setAttribute('aria-label', `Cancel ${name}`);
    remove.setAttribute('aria-label', `Remove ${name}`);
  }

  #listen() {
    const job = this.#job;
    job.on('token', (text, { id }) => {
      this.#pending += text;
      this.#arrived('token', id);
    });
    for (const name of /** @type {const} */ (['reasoning', 'refusal', 'tool_call', 'extra'])) {
      job.on(name, (_piece, { id }) => this.#arrived(name, id));
    }
    job.on('open', ({ resumedFrom }) => this.#opened(resumedFrom));
    job.on('reconnecting', ({ attempt, lastEventId }) => {
      if (this.#awaySinceMs === null) this.#say(`Connection lost: ${excerpt(this.#known.prompt)}`);
      this.#wentAway();
      const after = lastEventId ? ` after event ${lastEventId}` : '';
      this.#setNote(
        `Connection lost${after}. Reconnecting automatically, attempt ${attempt}.`,
        'away',
      );
      this.#changed();
    });
    job.on('retry', ({ attempt }) => {
      this.#startOver(`The previous attempt failed; this is attempt ${attempt}.`);
    });
    job.on('gap', ({ earliest }) => {
      const from = earliest ? ` The text starts at event ${earliest}.` : '';
      this.#startOver(`The server no longer has the whole text.${from}`);
    });
    job.on('status', () => this.#changed());
    void job.done.then(() => this.#ended());
  }

  /** Counts an event of the answer. @param {string} name @param {string | null} id */
  #arrived(name, id) {
    const now = performance.now();
    const replayed = this.#meter.token(now);
    this.#flow.token(now, replayed);
    if (replayed) this.#replayed += 1;
    // Ids increase by one within an attempt, so that every loss is detected.
    const [before, here] = [sequence(this.#newestId), sequence(id)];
    if (before.attempt === here.attempt) this.#lost += Math.max(0, here.seq - before.seq - 1);
    this.#newestId = id;
    this.#reasons = name === 'reasoning';
    nextFrame(this.#render);
  }

  /** @param {string | null} resumedFrom */
  #opened(resumedFrom) {
    const now = performance.now();
    this.#opens += 1;
    if (this.#restored && this.#opens === 1) this.#meter.opened(now);
    if (this.#awaySinceMs !== null) {
      this.#flow.away(this.#awaySinceMs, now);
      this.#awaySinceMs = null;
      clearInterval(this.#ticking);
      this.#meter.opened(now);
      this.#replayed = 0;
      this.#resumedFrom = resumedFrom ?? 'the start';
      this.#setNote('');
      this.#say(`Resumed: ${excerpt(this.#known.prompt)}`);
    }
    this.#changed();
  }

  #wentAway() {
    if (this.#awaySinceMs !== null) return;
    this.#awaySinceMs = performance.now();
    this.#ticking = window.setInterval(() => nextFrame(this.#render), AWAY_TICK_MS);
  }

  /** @param {string} note */
  #startOver(note) {
    this.#pending = '';
    this.#cleared = true;
    this.#newestId = null;
    this.#resumedFrom = null;
    this.#restored = false;
    this.#setNote(note);
    this.#changed();
  }

  async #cancel() {
    const button = /** @type {HTMLButtonElement} */ (this.#parts.cancel);
    button.disabled = true;
    try {
      await this.#job.cancel();
    } catch (error) {
      const { message } = /** @type {Error} */ (error);
      if (!this.#job.ended) this.#setNote(`Not cancelled: ${message}.`, 'bad');
    } finally {
      button.disabled = false;
      this.#changed();
    }
  }

  #ended() {
    const { status, reason, error } = this.#job;
    clearInterval(this.#ticking);
    if (error?.code === 'client_closed') return;
    if (this.#tone === 'away') this.#setNote(''); // the job ended before a reconnect
    if (status === 'gone') {
      this.#setNote('The server no longer has this job: it keeps finished jobs for a few minutes.');
    } else if (error) {
      this.#setNote(`${error.message} (${error.code})`, 'bad');
    } else if (status === 'cancelled') {
      this.#setNote(CANCELLED[reason ?? ''] ?? 'Cancelled.');
    } else if (this.#resumedFrom === null && !this.#restored) {
      this.#setNote(REASON_NOTES[reason ?? ''] ?? '');
    }
    this.#say(`${this.#endingOf(status)}: ${excerpt(this.#known.prompt)}`);
    this.#changed();
  }

  /** @param {string} status */
  #endingOf(status) {
    const { refusal, toolCalls } = this.#job;
    if (status !== 'completed') return STATES[status];
    if (refusal !== '') return 'Refused';
    if (toolCalls.length === 0) return STATES[status];
    return `${STATES[status]}, with ${plural(toolCalls.length, 'tool call')}`;
  }

  #changed() {
    nextFrame(this.#render);
    this.#onChange();
  }

  /** @param {string} note empty: show the result of a resume @param {'plain' | 'away' | 'bad'} [tone] */
  #setNote(note, tone = 'plain') {
    this.#note = note;
    this.#tone = tone;
  }

  #drawNote() {
    const { note } = this.#parts;
    const resumed = this.#note === '' ? this.#resumedNote() : '';
    const text = this.#note || resumed;
    if (note.textContent === text) return;
    note.textContent = text;
    note.dataset.tone = resumed === '' ? this.#tone : this.#lost > 0 ? 'bad' : 'good';
  }

  #resumedNote() {
    const lost = this.#lost === 0 ? 'nothing lost' : `${plural(this.#lost, 'token')} lost`;
    const replayed = `${plural(this.#replayed, 'token')} replayed, ${lost}`;
    if (this.#resumedFrom !== null) return `Resumed from ${this.#resumedFrom}: ${replayed}.`;
    return this.#restored && this.#replayed > 0 ? `Restored after a reload: ${replayed}.` : '';
  }

  #draw() {
    const job = this.#job;
    const parts = this.#parts;
    if (this.#cleared) this.#pane.clear();
    this.#cleared = false;
    if (this.#pending !== '') this.#pane.append(this.#pending);
    this.#pending = '';
    this.#blocks.set(job, { live: !job.ended, reasons: this.#reasons });
    if (this.#awaySinceMs !== null && !job.ended) {
      const now = performance.now();
      this.#flow.away(this.#awaySinceMs, now);
      this.#awaySinceMs = now;
    }
    this.#flow.draw();

    const live = !job.ended;
    const flowing = job.connection === 'open' || job.connection === 'connecting';
    const { dataset } = this.element;
    dataset.state = job.status;
    dataset.connection = live ? job.connection : 'ended';
    parts.state.textContent = live && !flowing ? LINE[job.connection] : STATES[job.status];
    parts.tokens.textContent = (job.metrics?.tokens ?? job.tokens).toLocaleString('en');
    parts.rate.textContent = rate(job.metrics?.tokens_per_second ?? this.#meter.tokensPerSecond);
    parts.first.textContent = duration(job.metrics?.ttft_ms ?? this.#meter.firstTokenMs);
    parts.id.textContent = job.lastEventId ?? '–';
    this.#drawNote();
    parts.line.hidden = parts.cancel.hidden = !live;
    parts.remove.hidden = live;
    parts.line.setAttribute('aria-checked', String(this.connected));
    parts['line-text'].textContent = LINE[job.connection];
  }
}

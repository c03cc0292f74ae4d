import { useEffect, useState } from 'react';
import { useJobStream, useSubmit } from 'sluice/react';
import { client } from './client.js';
import './jobs.css';

const KEY = 'jobs';

/** The ids of the page's jobs, newest first, kept over a reload. */
function useJobIds() {
  const [ids, setIds] = useState(() => JSON.parse(localStorage.getItem(KEY) ?? '[]'));
  useEffect(() => localStorage.setItem(KEY, JSON.stringify(ids)), [ids]);
  return [ids, setIds];
}

export function Jobs() {
  const [ids, setIds] = useJobIds();
  const { submit, error } = useSubmit({ client });
  const [prompt, setPrompt] = useState('');

  const send = async (event) => {
    event.preventDefault();
    try {
      const job = await submit({ prompt });
      setIds((before) => [job.id, ...before]);
      setPrompt('');
    } catch {
      // `error` has it.
    }
  };

  return (
    <>
      <h1>Jobs</h1>
      <form onSubmit={send}>
        <label>
          Prompt <input value={prompt} onChange={(event) => setPrompt(event.target.value)} />
        </label>
        <button>Send</button>
        {error && <p role="alert">{error.message}</p>}
      </form>
      <ol>
        {ids.map((id) => (
          <li key={id} data-job={id}>
            <Status id={id} />
            <Answer id={id} />
          </li>
        ))}
      </ol>
    </>
  );
}

function Status({ id }) {
  const { status, reconnects, cancel } = useJobStream(id, { client });
  const live = status === 'queued' || status === 'running';
  return (
    <p>
      <strong>{status}</strong>
      {reconnects > 0 && ` (${reconnects} reconnects)`}
      {live && <button onClick={() => cancel().catch(() => {})}>Cancel</button>}
    </p>
  );
}

/** The same job again: both components read one stream. */
function Answer({ id }) {
  const { text, reasoning, refusal, toolCalls, error } = useJobStream(id, { client });
  return (
    <>
      {reasoning && (
        <details>
          <summary>Reasoning</summary>
          {reasoning}
        </details>
      )}
      <div className="text">{text}</div>
      {refusal && <p>Refused: {refusal}</p>}
      {toolCalls.map((call) => (
        <pre key={call.id}>
          {call.function.name}({call.function.arguments})
        </pre>
      ))}
      {error && <p role="alert">{error.message}</p>}
    </>
  );
}

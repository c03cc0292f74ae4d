'use client';
import { useState } from 'react';
import { useChat } from '@ai-sdk/react';
import { lastAssistantMessageIsCompleteWithToolCalls } from 'ai';
import { StoringTransport, load, save } from './stored-chat.js';

/** As in OpenAI's chat completions: the gateway passes it to the model. */
const tools = [
  {
    type: 'function',
    function: {
      name: 'get_time',
      description: 'The time of day in a time zone.',
      parameters: { type: 'object', properties: { zone: { type: 'string' } } },
    },
  },
];
const transport = new StoringTransport({ body: { tools } });

const timeIn = (timeZone = 'UTC') =>
  new Date().toLocaleTimeString('en-GB', { timeZone, timeStyle: 'short' });

export default function Chat({ id }) {
  const [text, setText] = useState('');
  const chat = useChat({
    id,
    messages: load(id),
    resume: true,
    transport,
    sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithToolCalls,
    onToolCall({ toolCall: { toolName, toolCallId, input } }) {
      if (toolName !== 'get_time') return;
      // Not awaited: the SDK waits for this function.
      void chat.addToolOutput({ tool: toolName, toolCallId, output: timeIn(input?.zone) });
    },
    onFinish({ messages: shown }) {
      save(id, shown);
    },
  });
  const { messages, status, error, sendMessage, stop, regenerate } = chat;
  const busy = status === 'submitted' || status === 'streaming';

  const send = (event) => {
    event.preventDefault();
    if (text.trim() === '') return;
    void sendMessage({ text });
    setText('');
  };

  return (
    <main data-status={status}>
      <h1>Chat</h1>
      <ol>
        {messages.map((message) => (
          <li key={message.id} data-role={message.role}>
            {message.parts.map((part, index) => (
              <Part key={index} part={part} />
            ))}
          </li>
        ))}
      </ol>
      {error && <p role="alert">{error.message}</p>}
      <form onSubmit={send}>
        <label>
          Message <input value={text} onChange={(event) => setText(event.target.value)} />
        </label>
        <button disabled={busy}>Send</button>
        <button type="button" disabled={!busy} onClick={() => stop()}>
          Stop
        </button>
        <button
          type="button"
          disabled={busy || messages.length === 0}
          onClick={() => void regenerate()}
        >
          Regenerate
        </button>
      </form>
    </main>
  );
}

function Part({ part }) {
  if (part.type === 'text') return <p>{part.text}</p>;
  if (part.type === 'reasoning') {
    return (
      <details>
        <summary>Reasoning</summary>
        {part.text}
      </details>
    );
  }
  if (part.type.startsWith('tool-')) {
    return (
      <pre>
        {part.type.slice('tool-'.length)}({JSON.stringify(part.input)})
        {part.state === 'output-available' && ` = ${JSON.stringify(part.output)}`}
      </pre>
    );
  }
  return null;
}

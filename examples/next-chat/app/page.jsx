import { randomUUID } from 'node:crypto';
import { redirect } from 'next/navigation';
import { ClientChat } from './client-chat.jsx';

/** The id of the chat is in the address, so that a reload is the same chat. */
export default async function Page({ searchParams }) {
  const { id } = await searchParams;
  if (typeof id !== 'string' || id === '') redirect(`/?id=${randomUUID()}`);
  return <ClientChat id={id} key={id} />;
}

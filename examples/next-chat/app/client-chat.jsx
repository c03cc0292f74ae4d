'use client';
import dynamic from 'next/dynamic';

/** The messages are in the browser's storage, which the server cannot render. */
export const ClientChat = dynamic(() => import('./chat.jsx'), { ssr: false });

import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { Jobs } from './jobs.jsx';

createRoot(document.getElementById('root')).render(
  <StrictMode>
    <Jobs />
  </StrictMode>,
);

import { gateway } from '../../../gateway.js';

export const runtime = 'nodejs';
export const dynamic = 'force-dynamic';

const handle = (request) => gateway.fetch(request);
export { handle as GET, handle as POST, handle as DELETE };

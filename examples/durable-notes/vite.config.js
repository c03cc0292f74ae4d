import { defineConfig } from 'vite';

const { SLUICE_URL: target = 'http://127.0.0.1:3000' } = process.env;

export default defineConfig({
  // The gateway compares the page's origin with the host that it was asked by.
  server: { proxy: { '/v1': { target, changeOrigin: false } } },
});

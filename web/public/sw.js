// Keeps the page for use offline. While the server answers, its answers are used and kept.
const CACHE = 'physkit-1';

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

/** Keeps these addresses and forgets all others. */
async function keep(urls) {
  const own = urls.filter((url) => new URL(url).origin === self.location.origin);
  const cache = await caches.open(CACHE);
  await cache.addAll(own);
  const wanted = new Set(own);
  for (const request of await cache.keys()) if (!wanted.has(request.url)) await cache.delete(request);
}

self.addEventListener('message', (event) => {
  const [port] = event.ports;
  event.waitUntil(
    keep(event.data).then(
      () => port.postMessage(true),
      () => port.postMessage(false),
    ),
  );
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET' || new URL(request.url).origin !== self.location.origin) return;
  event.respondWith(
    fetch(request).catch(async (error) => {
      const kept = await caches.match(request, { ignoreSearch: true });
      if (kept) return kept;
      throw error;
    }),
  );
});

/** Keeping the page, its network and its runtime for use without the server. */

/** Resolves to whether all of it is kept. */
export async function keepOffline(urls: string[]): Promise<boolean> {
  if (!('serviceWorker' in navigator)) return false;
  try {
    const registration = await navigator.serviceWorker.register('./sw.js');
    await navigator.serviceWorker.ready;
    const own = performance.getEntriesByType('resource').map((entry) => entry.name);
    const channel = new MessageChannel();
    const answer = new Promise<boolean>((resolve) => {
      channel.port1.onmessage = ({ data }: MessageEvent<boolean>) => resolve(data);
    });
    const kept = [new URL('./', location.href).href, ...own, ...urls];
    registration.active?.postMessage([...new Set(kept)], [channel.port2]);
    return await answer;
  } catch {
    return false; // a browser that keeps nothing, as in a private window, loses only this
  }
}

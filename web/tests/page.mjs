// Drives the page in headless Chromium: node page.mjs URL VIDEO [OPTIONS as JSON]; prints JSON.
//
// options: chromium (its path), screenshots (a folder), width, height, dark (true), finding
// ("centre"), save (the pulse is saved there), server (the server's process id: it is ended, and
// all is done once more without it), ask (the camera, where there is none), camera (a .y4m file
// that plays its part, until it shows a heart rate).
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const [url, video, told] = process.argv.slice(2);
const options = { chromium: '/usr/bin/chromium', width: 1180, height: 900, ...JSON.parse(told ?? '{}') };
const args = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
if (options.camera)
  args.push('--use-fake-device-for-media-stream', `--use-file-for-fake-video-capture=${options.camera}`);

const profile = mkdtempSync(join(tmpdir(), 'physkit-web-'));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: options.chromium,
  headless: true,
  args,
  viewport: { width: options.width, height: options.height },
  colorScheme: options.dark ? 'dark' : 'light',
  permissions: options.camera ? ['camera'] : [],
});
const seen = { console: [], requests: [], foreign: [] };
const own = new URL(url).host;

async function watch(page) {
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) seen.console.push(`${message.type()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => seen.console.push(String(error)));
  context.on('request', (request) => {
    const { protocol, host } = new URL(request.url());
    if (['data:', 'blob:'].includes(protocol)) return;
    seen.requests.push(request.url());
    if (host !== own) seen.foreign.push(request.url());
  });
}

const shoot = async (page, name) => {
  if (options.screenshots) await page.screenshot({ path: join(options.screenshots, `${name}.png`), fullPage: true });
};

/** What the page shows. */
const shown = (page) =>
  page.evaluate(() => {
    const text = (id) => document.getElementById(id)?.textContent?.trim() ?? '';
    const problem = document.getElementById('problem');
    return {
      phase: document.body.dataset.phase,
      bpm: document.getElementById('heart-rate').dataset.bpm,
      rate: text('heart-rate'),
      quality: document.getElementById('quality').value,
      announced: text('announce'),
      status: text('status'),
      problem: problem.hidden ? null : { code: problem.dataset.code, text: text('problem') },
      frames: text('frames'),
      fps: parseFloat(text('fps')),
      latency: text('latency'),
      step: text('step'),
      detector: document.querySelector('input[name=finding]').checked,
      isolated: crossOriginIsolated,
    };
  });

async function run(page) {
  await page.goto(url);
  await page.waitForFunction(() => document.body.dataset.phase === 'idle' || !document.getElementById('problem').hidden);
  await shoot(page, 'start');
  if (options.finding) await page.check(`input[value=${options.finding}]`);
  if (options.ask || options.camera) {
    await page.click('#camera');
    if (options.camera) {
      await page.waitForFunction(() => document.getElementById('heart-rate').dataset.bpm);
      seen.running = await shown(page);
      await shoot(page, 'camera');
      await page.click('#stop');
      await page.waitForFunction(() => document.body.dataset.read === 'whole');
    } else await page.waitForSelector('#problem:not([hidden])');
  } else if (video !== '-') {
    await page.setInputFiles('#file', video);
    const isOver = () => document.body.dataset.phase !== 'running';
    await page.waitForFunction(() => parseInt(document.getElementById('frames').textContent) > 60 || document.body.dataset.phase !== 'running');
    await shoot(page, 'running');
    await page.waitForFunction(isOver);
    await page.waitForFunction(() => document.body.dataset.read === 'whole' || !document.getElementById('problem').hidden || document.getElementById('frames').textContent === '–');
  }
  await shoot(page, 'end');
  if (options.save) {
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('#save')]);
    await download.saveAs(options.save);
  }
  return shown(page);
}

try {
  const page = await context.newPage();
  page.setDefaultTimeout(90000);
  await watch(page);
  const result = { ...(await run(page)), ...seen };
  if (options.server) {
    await page.waitForSelector('#offline:not([hidden])');
    process.kill(options.server, 'SIGINT');
    while (await fetch(url).then(() => true, () => false)) await page.waitForTimeout(50);
    delete options.save;
    result.offline = await run(page);
  }
  process.stdout.write(JSON.stringify({ ...result, ...seen }) + '\n');
} finally {
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}

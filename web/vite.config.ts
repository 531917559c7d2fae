import { cpSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createRequire } from 'node:module';
import { defineConfig, type Plugin } from 'vite';

/** The runtime's WebAssembly: with and without relaxed SIMD, without threads. */
const RUNTIME_FILES = ['litert_wasm_internal', 'litert_wasm_compat_internal'];

/** Copies the runtime beside the page, for it is loaded by name and never from another host. */
function liteRt(): Plugin {
  const entry = createRequire(import.meta.url).resolve('@litertjs/core');
  const wasm = join(dirname(entry), '..', 'wasm');
  return {
    name: 'litert-files',
    writeBundle({ dir }) {
      for (const name of RUNTIME_FILES)
        for (const ending of ['.js', '.wasm'])
          cpSync(join(wasm, name + ending), join(dir!, 'litert', name + ending));
    },
  };
}

export default defineConfig({
  base: './',
  build: { target: 'es2022', modulePreload: { polyfill: false }, assetsInlineLimit: 0 },
  // classic workers: the runtime comes by importScripts
  worker: { format: 'iife' },
  plugins: [liteRt()],
});

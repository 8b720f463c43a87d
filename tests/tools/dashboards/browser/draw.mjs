// draw.mjs DATA.json PICTURE.png...: builds the page once and takes a picture of each dashboard in Debian's Chromium.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';

const here = dirname(fileURLToPath(import.meta.url));
await build({
  entryPoints: [join(here, 'page.jsx')],
  outfile: join(here, 'page.js'),
  bundle: true,
  minify: true,
  format: 'iife',
  platform: 'browser',
  logLevel: 'error',
  define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
  loader: { '.svg': 'dataurl', '.woff2': 'dataurl', '.ttf': 'dataurl' },
  plugins: [
    {
      // Its CommonJS form has no default export that a bundle of ES modules would see.
      name: 'scrollbars',
      setup(b) {
        b.onResolve({ filter: /^react-custom-scrollbars-2$/ }, ({ namespace }) => (namespace === 'shim' ? undefined : { path: 'scrollbars', namespace: 'shim' }));
        b.onLoad({ filter: /.*/, namespace: 'shim' }, () => ({ contents: "export { Scrollbars as default, Scrollbars } from 'react-custom-scrollbars-2';", resolveDir: here }));
      },
    },
  ],
});

const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
let failed = false;
for (let at = 2; at < process.argv.length; at += 2) {
  const [data, picture] = process.argv.slice(at, at + 2);
  const page = await browser.newPage({ viewport: { width: 1600, height: 1000 } });
  const complain = (text) => { failed = true; console.error(`${picture}: ${text.slice(0, 500)}`); };
  page.on('pageerror', (error) => complain(String(error.stack)));
  // Nothing is asked of any network; the page needs an origin for its local storage.
  await page.route('**/*', (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html><body style="margin:0"><div id="root"></div></body>' }));
  await page.goto('http://dashboards.test/');
  await page.addScriptTag({ content: `window.DASHBOARD = ${readFileSync(data, 'utf8')};` });
  await page.addStyleTag({ path: join(here, 'page.css') });
  await page.addScriptTag({ path: join(here, 'page.js') });
  await page.waitForFunction(() => window.DONE, null, { timeout: 120_000 });
  for (const error of await page.evaluate(() => window.ERRORS)) complain(error);
  await page.screenshot({ path: picture, fullPage: true });
  await page.close();
}
await browser.close();
process.exit(failed ? 1 : 0);

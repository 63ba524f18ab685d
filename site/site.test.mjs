// Tests of the built site in Chromium: CHROMIUM, or the one on PATH. With SCREENSHOTS=DIRECTORY they leave pictures there.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { after, before, test } from 'node:test'
import axe from 'axe-core'
import { chromium } from 'playwright-core'
import { serve } from 'vitepress'

const root = dirname(fileURLToPath(import.meta.url))
const dist = join(root, '.vitepress/dist')
const base = process.env.SITE_BASE ?? '/'
const pages = readdirSync(dist, { recursive: true })
  .filter((name) => name.endsWith('.html') && name !== '404.html')
  .map((name) => base + name.replace(/(index)?\.html$/, ''))
const widths = [360, 768, 1440]
const site = 'http://127.0.0.1:4173'
let browser, server

before(async () => {
  server = await serve({ root, base, port: 4173 })
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] })
})
after(async () => {
  await browser?.close()
  server?.server.close()
})

// open returns a page that reaches the site alone, and collects in page.wrong what goes wrong in it.
async function open(t, options) {
  const page = await browser.newPage(options)
  t.after(() => page.close())
  page.wrong = []
  page.on('console', (message) => message.type() === 'error' && page.wrong.push(message.text()))
  page.on('pageerror', (error) => page.wrong.push(error.message))
  await page.route((url) => url.origin !== site, (route) => {
    page.wrong.push(`a request to ${route.request().url()}`)
    route.abort()
  })
  return page
}

async function visit(page, path) {
  await page.goto(site + path, { waitUntil: 'load' })
  await page.waitForFunction(() => document.querySelector('.VPSwitchAppearance').title) // the page's script ran
  assert.deepEqual(page.wrong, [], path)
}

async function picture(page, name) {
  if (!process.env.SCREENSHOTS) return
  await page.waitForTimeout(500) // the menu slides in
  await page.screenshot({ path: join(process.env.SCREENSHOTS, name + '.png') })
}

async function violations(page, rules) {
  await page.evaluate(axe.source)
  const result = await page.evaluate((options) => window.axe.run(options), rules ? { runOnly: rules } : {})
  return result.violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target}: ${node.failureSummary}`))
}

// wider reports whether a page has to be scrolled sideways at a width, and takes a picture of it.
async function wider(page, width, name) {
  await page.setViewportSize({ width, height: 900 })
  await picture(page, name)
  return page.evaluate(() => document.documentElement.scrollWidth > innerWidth)
}

// What the links of all pages lead to, once the pages were seen.
const found = new Map()

// The colours of the dark are those of the theme: pages with text, tables and code show them all.
const dark = ['', 'patterns', 'settings', 'supply-chain'].map((name) => base + name)

for (const [colorScheme, paths] of Object.entries({ light: pages, dark })) {
  test(`everybody can read the pages, on every screen: ${colorScheme}`, async (t) => {
    const page = await open(t, { colorScheme })
    const wrong = []
    for (const path of paths) {
      await visit(page, path)
      wrong.push(...(await violations(page, colorScheme === 'dark' && ['color-contrast'])).map((violation) => `${path}: ${violation}`))
      const name = path.slice(base.length).replaceAll('/', '-') || 'index'
      for (const width of widths) {
        if (await wider(page, width, `${name}-${width}-${colorScheme}`)) wrong.push(`${path} is wider than ${width}`)
      }
      found.set(path, await page.evaluate(() => ({
        ids: [...document.querySelectorAll('[id]')].map(({ id }) => id),
        links: [...document.querySelectorAll('a[href]')].map(({ href }) => href),
      })))
    }
    assert.deepEqual(wrong, [])
  })
}

test('every link leads to a page, and its fragment to a heading', () => {
  assert.ok(found.size > 20)
  let links = 0
  for (const [path, { links: all }] of found) {
    for (const link of all) {
      const { origin, pathname, hash } = new URL(link)
      if (origin !== site) continue
      links++
      assert.ok(found.has(pathname), `${path}: ${link}`)
      if (hash) assert.ok(found.get(pathname).ids.includes(decodeURIComponent(hash.slice(1))), `${path}: ${link}`)
    }
  }
  assert.ok(links > 500)
})

test('search works without a network, by keyboard', async (t) => {
  const page = await open(t)
  await visit(page, base)
  await page.keyboard.press('Control+k')
  await page.locator('.VPLocalSearchBox input:focus').waitFor()
  await page.keyboard.type('private modules')
  await page.locator('.VPLocalSearchBox .result.selected', { hasText: 'Private modules' }).waitFor()
  await page.keyboard.press('Enter')
  await page.locator('h1', { hasText: 'Private modules' }).waitFor()
  assert.deepEqual(page.wrong, [])
})

// The page that slipway size writes is not of the site, and is read in the same way.
test('everybody can read the report of slipway size', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'report-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const file = join(dir, 'size.html')
  execFileSync('go', ['run', './cmd/slipway', 'size', '--runtime', 'scratch', '--html', file, './examples/http-server'], { cwd: join(root, '..'), stdio: 'pipe' })
  for (const colorScheme of ['light', 'dark']) {
    const page = await browser.newPage({ colorScheme })
    await page.goto('file://' + file)
    assert.deepEqual(await violations(page), [])
    for (const width of widths) assert.ok(!(await wider(page, width, `report-${width}-${colorScheme}`)), `${width}`)
    await page.close()
  }
})

import { readFileSync, statSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { slug } from 'github-slugger'
import { defineConfig, type DefaultTheme } from 'vitepress'

const repository = 'https://github.com/slipway-ci/slipway'
const file = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))

// The pages are read on GitHub, too. So they link as it does: to files of the repository, and to its names of headings.
export default defineConfig({
  title: 'Slipway',
  description: 'Builds Go programs into minimal container images for several platforms',
  lang: 'en',
  base: process.env.SITE_BASE ?? '/',
  srcDir: '../docs',
  rewrites: { 'README.md': 'index.md', 'ci/README.md': 'ci/index.md' },
  cleanUrls: true,
  markdown: {
    anchor: { slugify: slug },
    theme: { light: 'github-light-high-contrast', dark: 'github-dark-high-contrast' },
    config(md) {
      // What stands in two braces would be an expression to Vue.
      for (const kind of ['text', 'code_inline']) {
        const render = md.renderer.rules[kind]!
        md.renderer.rules[kind] = (...args) => render(...args).replaceAll('{{', '&#123;&#123;')
      }
      md.core.ruler.push('links and tables', ({ tokens, env }) => {
        // The cell above a column of names has no text: it heads nothing.
        tokens.forEach(({ type, content }, i) => {
          if (type === 'inline' && !content && tokens[i - 1].type === 'th_open') tokens[i - 1].tag = tokens[i + 1].tag = 'td'
        })
        for (const token of tokens.flatMap((block) => block.children ?? [])) {
          const href = token.attrGet('href')
          if (href) token.attrSet('href', target(href, env.relativePath))
        }
      })
    },
  },
  vite: {
    // The pages lie outside of this directory and import Vue once compiled.
    resolve: { alias: [{ find: /^vue(?=$|\/)/, replacement: file('site/node_modules/vue') }] },
  },
  themeConfig: {
    sidebar: sidebar(),
    outline: [2, 3],
    search: {
      provider: 'local',
      options: { miniSearch: { searchOptions: { combineWith: 'AND', fuzzy: 0.1, boost: { title: 8, titles: 4 } } } },
    },
    socialLinks: [{ icon: 'github', link: repository }],
  },
})

// target returns where a link of a page leads on the site: what is no page is shown by GitHub.
function target(href: string, page: string): string {
  if (/^([a-z]+:|#)/.test(href)) return href
  const path = posix.join('docs', posix.dirname(page), href.replace(/#.*/, ''))
  if (path.startsWith('docs/') && path.endsWith('.md')) return href.replace('README.md', 'index.md')
  return `${repository}/${statSync(file(path)).isDirectory() ? 'tree' : 'blob'}/main/${path}`
}

// sidebar is the index: its headings, and the pages of their tables.
function sidebar(): DefaultTheme.SidebarItem[] {
  const groups: DefaultTheme.SidebarItem[] = [{ items: [{ text: 'Overview', link: '/' }] }]
  for (const line of readFileSync(file('docs/README.md'), 'utf8').split('\n')) {
    const heading = line.match(/^## (.*)/)
    const row = line.match(/^\| \[(.*?)\]\((.*?)\.md\)/)
    if (heading) groups.push({ text: heading[1], items: [] })
    if (row) groups.at(-1)!.items!.push({ text: row[1], link: '/' + row[2].replace(/README$/, '') })
  }
  return groups
}

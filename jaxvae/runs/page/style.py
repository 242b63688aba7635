"""How the page looks: by day and by night, on a phone and on paper."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1f2328; --muted: #59636e; --faint: #d8dee4; --raised: #f6f8fa;
  --accent: #0a5cab; --warning: #9a3412; --warning-paper: #fff4e5;
  --red: #bd1f01; --purple: #832db6;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181d; --ink: #e6e9ed; --muted: #9aa5b1; --faint: #343c45; --raised: #1d232a;
    --accent: #79b8ff; --warning: #ffb77c; --warning-paper: #33251a;
    --red: #ff7b62; --purple: #c084ea;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 62rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .35rem; overflow-wrap: anywhere; letter-spacing: -.01em; }
h2 { font-size: 1.2rem; margin: 3rem 0 .75rem; padding-top: .9rem; border-top: 1px solid var(--faint); }
h3 { font-size: 1rem; margin: 1.75rem 0 .4rem; }
p { margin: .5rem 0; max-width: 46rem; overflow-wrap: anywhere; }
.lead { color: var(--muted); font-size: 1.05rem; }
.caption, figcaption, footer { color: var(--muted); font-size: .86rem; line-height: 1.45; overflow-wrap: anywhere; }
.absent { color: var(--muted); font-style: italic; }
.finding { border-left: 3px solid var(--accent); background: var(--raised); padding: .6rem .9rem; max-width: none; }
.finding.warning { border-color: var(--warning); background: var(--warning-paper); }
.keys { display: grid; grid-template-columns: repeat(auto-fill, minmax(11.5rem, 1fr)); gap: .75rem;
  margin: 1.5rem 0 .75rem; }
.key { background: var(--raised); border-radius: .5rem; padding: .75rem 1rem; }
.key dt { color: var(--muted); font-size: .86rem; }
.key dd { margin: .1rem 0 0; font-size: 1.5rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.key small { font-size: .86rem; font-weight: 400; color: var(--muted); white-space: nowrap; }
.scroll { overflow-x: auto; margin: .75rem 0 .25rem; }
table { border-collapse: collapse; font-size: .93rem; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; color: var(--muted); font-size: .84rem; }
th, td { padding: .36rem 1.4rem .36rem 0; border-bottom: 1px solid var(--faint); vertical-align: top; }
th.number, td.number { text-align: right; white-space: nowrap; }
code, .config td { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .86rem; }
.config td { overflow-wrap: anywhere; }
.config td b { color: var(--accent); }
pre { background: var(--raised); border-radius: .5rem; padding: .75rem 1rem; overflow-x: auto; white-space: pre-wrap;
  overflow-wrap: anywhere; }
.rows { display: grid; gap: 1.25rem 1.75rem; margin: 1rem 0; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); }
.columns { columns: 2 24rem; column-gap: 1.75rem; margin: 1rem 0 0; }
.columns figure { break-inside: avoid; padding-bottom: 1.25rem; }
figure { margin: 0; min-width: 0; }
figcaption { margin-top: .35rem; }
figure svg, figure img { display: block; width: 100%; height: auto; }
figure img { image-rendering: pixelated; border-radius: 3px; }
figure svg text { fill: var(--ink); }
footer { margin-top: 3.5rem; padding-top: .9rem; border-top: 1px solid var(--faint); }
@media (max-width: 32rem) {
  main { padding: 1.5rem 1rem 3rem; }
  h1 { font-size: 1.55rem; }
  .keys { grid-template-columns: repeat(2, 1fr); gap: .5rem; }
  .key { padding: .55rem .7rem; }
  .key dd { font-size: 1.2rem; }
  th, td { padding-right: .8rem; }
  table { font-size: .86rem; }
}
@media print {
  :root { --paper: #fff; --ink: #000; --muted: #444; --faint: #bbb; --raised: #f4f4f4; --accent: #0a5cab;
    --red: #bd1f01; --purple: #832db6; }
  body { font-size: 10.5pt; }
  main { max-width: none; padding: 0; }
  h2, h3, figcaption { break-after: avoid; }
  figure, tr, .key, .finding { break-inside: avoid; }
  .scroll { overflow: visible; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""

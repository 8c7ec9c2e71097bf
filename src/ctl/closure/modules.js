// Prints the files that a script requires or imports. Searches their text, runs
// none. Standard input: the script; arguments: where the script lies, further
// files that it loads.
'use strict';
const fs = require('fs'), Module = require('module'), path = require('path');

const files = new Set(), notes = new Set(), todo = [];
// What the interpreter carries within, some distributions keep beside it.
const BESIDE = '/usr/share/nodejs';

const text = String.raw`(['"\`])((?:(?!\1)[^\\\n$])+)\1`;
const REQUIRED = [
  new RegExp(String.raw`\brequire\s*(?:\.\s*resolve\s*)?\(\s*${text}`, 'g'),
];
const IMPORTED = [
  new RegExp(String.raw`\bimport\s*\(\s*${text}`, 'g'),
  new RegExp(String.raw`\bimport\s*${text}`, 'g'),
  new RegExp(String.raw`\b(?:import|export)\b[^'"\`;()]*?\bfrom\s*${text}`, 'g'),
];
const COMPUTED = /\b(?:require|import)\s*\(\s*(?!['"`\s)])[^)]*\)/g;

// Which kind of module a file is stands in the package's description.
function describe(file) {
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    const described = path.join(folder, 'package.json');
    if (fs.existsSync(described)) files.add(described);
    const above = path.dirname(folder);
    const ends = path.basename(above) === 'node_modules' || path.basename(path.dirname(above)) === 'node_modules';
    if (above === folder || (ends && files.has(described)) || path.basename(folder) === 'node_modules') break;
  }
}

function take(file) {
  if (files.has(file)) return;
  files.add(file);
  describe(file);
  if (/\.(?:js|cjs|mjs)$/.test(file) || !/\.[a-z]+$/.test(file)) todo.push(file);
}

// Every file that a package's description has for a name, whatever the
// conditions: an import and a require may lead to different ones.
function targets(from, name) {
  const parts = name.split('/');
  const own = parts.slice(0, name.startsWith('@') ? 2 : 1).join('/');
  const within = '.' + name.slice(own.length);
  for (const folder of Module.createRequire(from).resolve.paths(name) || []) {
    const root = path.join(folder, own);
    let exported;
    try { exported = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')).exports; } catch { continue; }
    if (exported === undefined) return [];
    const keyed = exported !== null && typeof exported === 'object' && !Array.isArray(exported)
      && Object.keys(exported).some((key) => key.startsWith('.'));
    const found = [];
    const gather = (value, star) => {
      if (typeof value === 'string') found.push(path.join(root, value.replaceAll('*', star)));
      else if (value && typeof value === 'object') Object.values(value).forEach((inner) => gather(inner, star));
    };
    if (!keyed) { if (within === '.') gather(exported, ''); return found; }
    for (const [key, value] of Object.entries(exported)) {
      const [before, after] = key.split('*');
      if (key === within) gather(value, '');
      else if (after !== undefined && within.startsWith(before) && within.endsWith(after)) {
        gather(value, within.slice(before.length, within.length - after.length));
      }
    }
    return found;
  }
  return [];
}

function find(from, name, imported, called) {
  if (Module.isBuiltin(name)) return;
  const local = /^\.{0,2}\//.test(name);
  let found = [];
  if (imported && !local) found = targets(from, name).filter((file) => fs.existsSync(file));
  if (imported && local && fs.existsSync(path.resolve(path.dirname(from), name))) {
    found.push(path.resolve(path.dirname(from), name));
  }
  try { found.push(Module.createRequire(from).resolve(name)); } catch (error) {
    if (!found.length && called) notes.add(`${called}: module '${name}' is not found`);
  }
  found.filter((file) => fs.statSync(file).isFile()).forEach(take);
}

function scan(source, from, called) {
  for (const [patterns, imported] of [[REQUIRED, false], [IMPORTED, true]]) {
    for (const pattern of patterns) {
      for (const match of source.matchAll(pattern)) find(from, match[2], imported, called);
    }
  }
  if (called && source.match(COMPUTED)) notes.add(`${called}: it computes the name of a module`);
}

for (const name of process.config.variables.node_builtin_shareable_builtins || []) {
  const file = path.join(BESIDE, name.replace(/^deps\//, ''));
  if (fs.existsSync(file)) files.add(file);
}
// A script is run at its path, or as a descriptor, which nothing lies beside.
const script = fs.readFileSync(0, 'utf8'), place = process.argv[2];
describe(place);
scan(script, place, 'the script');
scan(script, '/proc/self/fd/0', null);
process.argv.slice(3).forEach(take);
while (todo.length) {
  const file = todo.pop();
  let source;
  try { source = fs.readFileSync(file, 'utf8'); } catch (error) { notes.add(`'${file}': ${error.code}`); continue; }
  scan(source, file, null);
}
for (const note of [...notes].sort()) console.log(`note\t${note.replaceAll('\n', ' ')}`);
for (const file of [...files].sort()) console.log(`file\t${file}`);

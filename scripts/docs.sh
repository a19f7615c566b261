#!/usr/bin/env bash
# scripts/docs.sh
# Makes the documentation: build/doc/index.html is the guide, build/doc/reference what the headers say. A warning of either
# tool is a failure, and so is a link that leads nowhere.
source "$(dirname "$0")/common.sh"
install_packages "${DOC_PACKAGES[@]}"
out=build/doc
rm -rf "$out"
mkdir -p "$out/reference" "$out/pages"

# The pages of components are written in Markdown, to be read where they lie. In the guide they are chapters, and what
# leads from one to another leads there.
for page in doc/*.md; do
    name=$(basename "$page" .md)
    [ "$name" != README ] || continue
    {
        say "[[page_$name]]"
        pandoc --from gfm --to asciidoc --wrap preserve "$page" |
            sed -E 's/^=(=+) /\1 /; s/link:([a-z_]+)\.md\[([^]]*)\]/<<page_\1,\2>>/g'
    } >"$out/pages/$name.adoc"
    grep -q "{pages}/$name.adoc" doc/guide.adoc || say "include::$name.adoc[]" "" >>"$out/pages/others.adoc"
done
touch "$out/pages/others.adoc"

asciidoctor --verbose --failure-level=WARN --out-file "$out/index.html" doc/guide.adoc
cp -r doc/images "$out/"
{ cat doc/Doxyfile && echo "OUTPUT_DIRECTORY=$out/reference"; } | doxygen - >/dev/null

python3 - "$out/index.html" <<'END'
import glob, html.parser, os, re, sys

def squeeze(text):
    return re.sub(r'\s+', '', text)

# Code in a page is a piece of a file that is compiled, unless the page says that it is a sketch.
compiled = [squeeze(open(path).read()) for pattern in ('doc/snippets/*.cpp', 'example/**/*.[ch]pp')
            for path in glob.glob(pattern, recursive=True)]
snippets = [(path, text) for path in sorted(glob.glob('doc/*.md'))
            for text in re.findall(r'^```cpp\n(.*?)^```$', open(path).read(), re.M | re.S)]
foreign = [f'{path}: not a piece of a compiled file:\n{text}' for path, text in snippets
           if not any(squeeze(text) in file for file in compiled)]
print(f'{len(snippets)} pieces of code in the pages, {len(foreign)} of them not compiled', *foreign, sep='\n')

class Links(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.to, self.names = [], set()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.names.update(filter(None, (attributes.get('id'), attributes.get('name'))))
        self.to += [attributes[name] for name in ('href', 'src') if attributes.get(name)]

page = sys.argv[1]
links = Links()
links.feed(open(page, encoding='utf-8').read())
folder = os.path.dirname(page)
lost = [to for to in links.to if not to.startswith(('http:', 'https:'))
        and not (to[1:] in links.names if to.startswith('#') else os.path.exists(os.path.join(folder, to.split('#')[0])))]
print(f'{len(links.to)} links, {len(lost)} of them lead nowhere', *lost, sep='\n')
sys.exit(bool(lost or foreign))
END
say "$out/index.html"

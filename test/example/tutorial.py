"""Does what a reader of the guide's tutorials does: copies the programs out of the page one after another, builds them
with the library as installed, and runs them.

tutorial.py GUIDE INSTALLED FOLDER_OF_SOURCES
"""
import html
import os
import re
import subprocess
import sys
import tempfile

guide, installed, sources = (os.path.abspath(path) for path in sys.argv[1:])
with open(guide, encoding='utf-8') as file:
    page = file.read()
tutorials = page[page.index('<h2 id="_tutorials">'):]
tutorials = tutorials[:tutorials.index('<h2 ', 4)]


def code(text):
    return html.unescape(re.sub('<[^>]*>', '', text))


listing = r'<pre class="[a-z ]*highlight[a-z ]*"><code[^>]*>(.*?)</code></pre>'
programs = {name: code(text) for name, text in
            re.findall(r'[Ss]ave this as <code>(\w+)\.cpp</code>.*?' + listing, tutorials, re.S)}
recipe = code(re.search(listing, tutorials[tutorials.index('CMakeLists.txt'):], re.S)[1])
assert 'foreach(name packet_loop)' in recipe and len(programs) >= 9, (recipe, list(programs))

with tempfile.TemporaryDirectory() as folder:
    def put(name, text):
        with open(os.path.join(folder, name), 'w', encoding='utf-8') as file:
            file.write(text)

    put('CMakeLists.txt', recipe.replace('foreach(name packet_loop)', f'foreach(name {" ".join(programs)})'))
    for name, text in programs.items():
        put(name + '.cpp', text)
    subprocess.run(['cmake', '-B', 'build', '-G', 'Ninja', f'-DCMAKE_PREFIX_PATH={installed}'], cwd=folder, check=True,
                   stdout=subprocess.DEVNULL)
    subprocess.run(['cmake', '--build', 'build'], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    run = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'short.py')
    done = subprocess.run([sys.executable, run, os.path.join(folder, 'build'), sources])
print(f'figure: {len(programs)} programs copied out of the tutorials, in their order: {", ".join(programs)}')
sys.exit(done.returncode)

"""Makes the table of doc/conformance.md of the rows that `conformance::verify` prints."""
import sys

rows, columns = [], []
for line in sys.stdin:
    folder, text = line.rstrip('\n').split('\t')
    name, *aspects = text.split(' | ')
    name = name.removeprefix(folder + '/')
    results = dict(aspect.rsplit(': ', 1) for aspect in aspects)
    rows.append((f'{folder}: {name}', results))
    columns += [aspect for aspect in results if aspect not in columns]

# In the order of the row that has the most: what some leave out has its place there.
longest = max((list(results) for _, results in rows), key=len)
columns.sort(key=lambda c: longest.index(c) if c in longest else len(longest))

print('''# Conformance

What holds for each operation, as the tests found it: `scripts/conformance.sh` writes this page. Every cell is an examination by
`test/asio/conformance.hpp`, with the operation ready before it starts and later: it succeeds, on the right executor, once, and
never inside the call that starts it.

- **callback** to **senders**: the operation with this token; *default token* also within `as_tuple`.
- **bind_cancellation_slot**: each type of cancellation, at each of the first steps, with the step running and queued; what was
  waited for is left to the next operation. **cancelled coroutine**: the same from `co_spawn`, by each type that reaches it.
- **object gone**: `cancel`, `close`, destruction and a move of the object at each step. **context gone**: its destruction.
- **second refused**: by `operation_in_progress`, without disturbing the first.
- **no allocation**: none on the heap once callbacks or a coroutine go round.

A dot: does not apply. `use_coro` does not compile in Boost 1.81 for an operation with a result beside its error. With Boost 1.88,
where `scripts/matrix.sh` runs the suite, it does, and `cancel_after` is examined too.
''')
print('| operation |', ' | '.join(columns), '|')
print('|---|' + '---|' * len(columns))
for name, results in rows:
    print(f'| `{name}` |', ' | '.join(results.get(c, '·') for c in columns), '|')

#pragma once

namespace bench {

/// What a packet costs that no subscription matches, from the wire on, with and without a filter in the kernel. Needs
/// root.
void show_push_down(int rounds);

} // namespace bench

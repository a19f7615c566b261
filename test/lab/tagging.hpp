#pragma once

#include <array>
#include <cstdint>
#include <lab/lab.hpp>
#include <vector>

namespace lab {

/// A tag as on the wire.
struct tag {
    std::uint16_t protocol = 0x8100;
    std::uint16_t control = 0;
};

/// Has an interface send all frames with tags, as a VLAN device would, and receive only frames with just these, without
/// them: through BPF programs at its ends of the stack, as the test kernel has no VLAN devices. Needs the real root.
class tagging {
public:
    /// The first tag is the inner one.
    tagging(side const& at, std::vector<tag> const& tags);
    ~tagging();
    tagging(tagging const&) = delete;
    tagging& operator=(tagging const&) = delete;

private:
    std::array<int, 2> links_{-1, -1};
};

} // namespace lab

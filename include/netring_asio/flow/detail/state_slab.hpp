#pragma once

#include <netring_asio/flow/key.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

namespace netring_asio::flow::detail {

/// What an extractor keeps of each flow, by the number of the flow's record.
template <class State>
class state_slab {
public:
    void create(std::uint32_t at) {
        while (states_.size() <= at)
            states_.emplace_back();
        states_[at].emplace();
    }
    void destroy(std::uint32_t at) noexcept { states_[at].reset(); }
    State& operator[](std::uint32_t at) noexcept { return *states_[at]; }
    State const& operator[](std::uint32_t at) const noexcept { return *states_[at]; }

private:
    std::deque<std::optional<State>> states_; // grows without moving any
};

template <>
class state_slab<no_state> {
public:
    void create(std::uint32_t) noexcept {}
    void destroy(std::uint32_t) noexcept {}
    no_state operator[](std::uint32_t) const noexcept { return {}; }
};

} // namespace netring_asio::flow::detail

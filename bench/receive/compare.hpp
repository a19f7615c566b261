#pragma once

#include "lane.hpp"
#include "receiver.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

// One JSON object a line and measurement, for bench/report.py.
namespace bench {

/// A candidate in a process of its own: receives until it is interrupted, and prints what came.
int run_receiver(std::span<candidate const> candidates, std::string const& name, std::string const& interface);

/// Each receives what is sent at a rate, in a process of its own, `/proc/self/exe --candidate NAME --interface NAME`.
void compare_paced(lane& lane, std::span<candidate const> candidates, std::size_t rounds, std::uint64_t count,
                   std::uint64_t rate);

/// Has a candidate read a ring that was filled beforehand; false where not all packets came.
bool drain_once(lane& lane, std::span<candidate const> candidates, std::string const& name, std::uint64_t count);

/// Each reads rings that were filled beforehand.
void compare_drain(lane& lane, std::span<candidate const> candidates, std::size_t rounds, std::uint64_t count);

/// The order of candidates in a round: each begins with another one, and every other goes backwards.
std::vector<std::size_t> order_of(std::size_t round, std::size_t candidates);

} // namespace bench

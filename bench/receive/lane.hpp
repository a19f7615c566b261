#pragma once

#include "../traffic/generator.hpp"

#include <cstdint>
#include <lab/lab.hpp>
#include <memory>

namespace bench {

/// The way from the generator to the receivers: a private veth pair, silent but for what the generator sends.
class lane {
public:
    lane();

    /// Sends this many frames, on the generator's processor. The calling thread stays there.
    void send(std::uint64_t count, std::uint64_t rate);
    char const* generator_name() const noexcept { return generator_->name(); }
    lab::side const& receiving() const noexcept { return pair_.right; }

    static constexpr std::size_t frame_length = 60;

private:
    lab::pair pair_;
    std::unique_ptr<generator> generator_;
};

} // namespace bench

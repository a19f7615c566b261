#pragma once

#include <netring_asio/adapted_source.hpp>
#include <netring_asio/detail/api.hpp>
#include <netring_asio/flow/dedup.hpp>

#include <utility>
#include <vector>

namespace netring_asio {

namespace detail {

/// Leaves copies out of batches.
class NETRING_ASIO_API dedup_pass {
public:
    explicit dedup_pass(flow::dedup_options const& options)
        : seen{options} {}
    /// Allocates for batches that have copies in them.
    void operator()(packet_batch& batch);

    flow::dedup seen;

private:
    std::vector<packet_view> kept_;
};

} // namespace detail

/// A source of packets without those that were seen before, see `flow::dedup`.
///
/// For flows alone `flow::tracker_options::deduplicating` does the same for less; this is for whatever else reads the
/// source, as a `tapped` around it.
template <packet_source Source>
class deduplicated : public adapted_source<Source, detail::dedup_pass> {
    using base = adapted_source<Source, detail::dedup_pass>;

public:
    /// The same over its source on another executor type.
    template <class Executor>
    struct rebind_executor {
        using other = deduplicated<typename Source::template rebind_executor<Executor>::other>;
    };

    explicit deduplicated(Source source, flow::dedup_options const& options = flow::dedup_options{})
        : base{std::move(source), detail::dedup_pass{options}} {}

    template <class Other>
        requires(!std::same_as<Other, Source> && std::constructible_from<Source, Other &&>)
    deduplicated(deduplicated<Other>&& other)
        : base{static_cast<adapted_source<Other, detail::dedup_pass>&&>(other)} {}

    flow::dedup_options const& options() const noexcept { return this->pass().seen.options(); }
    flow::dedup_statistics const& statistics() const noexcept { return this->pass().seen.statistics(); }
};

} // namespace netring_asio

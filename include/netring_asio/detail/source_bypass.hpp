#pragma once

#include <netring_asio/flow/key.hpp>
#include <netring_asio/subscription/engine.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>

namespace netring_asio::detail {

/// A source that can have connections passed over, as `xdp_socket`.
template <class Source>
concept bypassing_source = requires(Source& s) { s.bypass()->stop(); };

/// Leads an engine to what its source has for that.
template <bypassing_source Source>
class source_bypass final : public subscription::connection_bypass {
    using key = flow::five_tuple_key;
    using table = std::remove_pointer_t<decltype(std::declval<Source&>().bypass())>;

public:
    explicit source_bypass(Source& source) noexcept
        : source_{source} {}

    bool add(key const& connection, std::chrono::nanoseconds lifetime) override {
        auto* const to = source_.bypass();
        return to != nullptr && to->add(translated(connection), lifetime);
    }
    void remove(key const& connection) override {
        if (auto* const from = source_.bypass())
            from->remove(translated(connection));
    }
    void stop() override {
        if (auto* const all = source_.bypass())
            all->stop();
    }
    std::optional<passing> find(key const& connection) override {
        auto* const in = source_.bypass();
        auto const found = in != nullptr ? in->find(translated(connection)) : std::nullopt;
        return found ? std::optional{passing{found->ago, found->stopped}} : std::nullopt;
    }
    std::size_t size() const override {
        auto* const all = source_.bypass();
        return all != nullptr ? all->size() : 0;
    }

private:
    static typename table::key_type translated(key const& connection) noexcept {
        return {connection.a.address.bytes, connection.b.address.bytes, connection.a.port, connection.b.port,
                connection.protocol};
    }

    Source& source_;
};

} // namespace netring_asio::detail

#pragma once

#include <netring_asio/session/parser.hpp>
#include <netring_asio/session/use.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace netring_asio::session::detail {

/// What is known of a flow before its parser is chosen.
struct first_sight {
    bool tcp;
    std::array<std::uint16_t, 2> ports;
    std::array<std::vector<std::byte>, 2> const& prefix; ///< what each side sent first
};

/// Decides which parser a flow is for.
template <class... Parsers>
class chooser {
public:
    static constexpr std::size_t none = sizeof...(Parsers);
    struct verdict {
        std::size_t parser = none;
        bool final = false; ///< more bytes would not change it
    };

    chooser(std::size_t max_probed, use<Parsers>... uses)
        : max_probed_{max_probed}
        , uses_{std::move(uses)...} {}

    template <std::size_t I>
    auto const& prototype() const noexcept {
        return std::get<I>(uses_).prototype();
    }

    template <class F>
    static void for_each(F f) {
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            (f(std::integral_constant<std::size_t, I>{}), ...);
        }(std::make_index_sequence<none>{});
    }

    /// Whether any parser can be chosen by what this flow will carry.
    bool is_candidate(first_sight const& of) const {
        bool result = false;
        for_each([&](auto i) {
            auto const& u = std::get<i>(uses_);
            if (takes<i>(of) && use<parser_at<i>>::has_probe && u.chosen() != choice::by_port)
                result = result || u.chosen() != choice::by_port_and_content || has_port<i>(of);
        });
        return result;
    }

    /// The parser if it is clear which; with `last` nothing more is to be known.
    verdict choose(first_sight const& of, bool last) const {
        verdict result;
        bool open = false;
        for_each([&](auto i) {
            if (result.parser != none)
                return;
            auto const m = opinion<i>(of);
            open = open || m == match::maybe;
            if (m == match::yes)
                result.parser = i;
        });
        if (result.parser != none || (open && !last) || (of.prefix[0].empty() && of.prefix[1].empty()))
            return result;
        for_each([&](auto i) {
            if (result.parser == none && takes<i>(of) && std::get<i>(uses_).chosen() == choice::by_port_or_content &&
                has_port<i>(of))
                result.parser = i;
        });
        result.final = true;
        return result;
    }

private:
    template <std::size_t I>
    using parser_at = std::tuple_element_t<I, std::tuple<Parsers...>>;
    template <std::size_t I>
    static constexpr bool takes(first_sight const& of) noexcept {
        return of.tcp ? stream_parser<parser_at<I>> : datagram_parser<parser_at<I>>;
    }
    template <std::size_t I>
    bool has_port(first_sight const& of) const noexcept {
        return std::get<I>(uses_).has_port(of.ports[0]) || std::get<I>(uses_).has_port(of.ports[1]);
    }

    template <std::size_t I>
    match opinion(first_sight const& of) const {
        if (!takes<I>(of))
            return match::no;
        auto const& u = std::get<I>(uses_);
        if (u.chosen() == choice::by_port)
            return has_port<I>(of) ? match::yes : match::no;
        if (u.chosen() == choice::by_port_and_content && !has_port<I>(of))
            return match::no;
        auto result = match::maybe;
        if constexpr (use<parser_at<I>>::has_probe)
            for (auto const from : {side::initiator, side::responder})
                if (auto const& prefix = of.prefix[index(from)]; !prefix.empty()) {
                    auto const m = parser_at<I>::probe(from, prefix);
                    if (m == match::yes)
                        return m;
                    result = m == match::no || prefix.size() >= max_probed_ ? match::no : result;
                }
        return result;
    }

    std::size_t max_probed_;
    std::tuple<use<Parsers>...> uses_;
};

} // namespace netring_asio::session::detail

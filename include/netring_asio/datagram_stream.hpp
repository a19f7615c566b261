#pragma once

#include <netring_asio/session_stream.hpp>

namespace netring_asio {

/// A `session_stream` with parsers of datagrams alone.
template <packet_source Source, flow::extractor Extractor, session::datagram_parser... Parsers>
class datagram_stream : public session_stream<Source, Extractor, Parsers...> {
public:
    using session_stream<Source, Extractor, Parsers...>::session_stream;

    /// The same stream over its source on another executor type.
    template <class Executor>
    struct rebind_executor {
        using other =
            datagram_stream<typename Source::template rebind_executor<Executor>::other, Extractor, Parsers...>;
    };
    template <class Other>
        requires(!std::same_as<Other, Source> && std::constructible_from<Source, Other &&>)
    datagram_stream(datagram_stream<Other, Extractor, Parsers...>&& other)
        : session_stream<Source, Extractor, Parsers...>{
              static_cast<session_stream<Other, Extractor, Parsers...>&&>(other)} {}
};

template <class Source, class Extractor, class... Parsers>
datagram_stream(flow_stream<Source, Extractor>, session::use<Parsers>...)
    -> datagram_stream<Source, Extractor, Parsers...>;
template <class Source, class Extractor, class... Parsers>
datagram_stream(flow_stream<Source, Extractor>, session::session_options, session::use<Parsers>...)
    -> datagram_stream<Source, Extractor, Parsers...>;

} // namespace netring_asio

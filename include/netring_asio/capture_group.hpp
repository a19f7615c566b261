#pragma once

#include <netring_asio/capture.hpp>

#include <boost/asio/io_context.hpp>

#include <cstddef>
#include <utility>

namespace netring_asio {

/// Opens the captures of `shards`, which share the packets of an interface as a fanout group.
///
/// Without fanout options the packets are shared by `fanout_mode::addresses`: both directions of a flow and all its
/// fragments reach one shard, also within a tunnel. For flows between few addresses `fanout_mode::flows` shares by
/// ports too; the shards then hand each other the fragments, so that these still reach the shard of their flow.
class capture_group {
public:
    explicit capture_group(capture_options options)
        : options_{std::move(options)} {
        if (!options_.fanout())
            options_.fanout(fanout_options{fanout_mode::addresses});
    }

    capture operator()(boost::asio::io_context& context, std::size_t) {
        capture member{context, options_};
        options_.fanout(fanout_options{*options_.fanout()}.id(*member.fanout_id()));
        return member;
    }

private:
    capture_options options_;
};

} // namespace netring_asio

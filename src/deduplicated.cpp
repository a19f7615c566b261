#include <netring_asio/deduplicated.hpp>
#include <netring_asio/detail/some_packets.hpp>

namespace netring_asio::detail {

void dedup_pass::operator()(packet_batch& batch) {
    kept_.clear();
    for (packet_view const& packet : batch)
        if (seen(packet))
            kept_.push_back(packet);
    keep_only(kept_, batch);
}

} // namespace netring_asio::detail

#include <netring_asio/flow/reassembly_memory.hpp>

namespace netring_asio::flow {

reassembly_memory::~reassembly_memory() {
    spare_.clear_and_dispose([](detail::waiting_piece* piece) { delete piece; });
}

detail::waiting_piece* reassembly_memory::take() {
    if (spare_.empty())
        return new detail::waiting_piece;
    auto& piece = spare_.front();
    spare_.pop_front();
    spare_bytes_ -= piece.bytes.capacity() + detail::waiting_piece::overhead;
    return &piece;
}

void reassembly_memory::give_back(detail::waiting_piece* piece) noexcept {
    piece->bytes.clear();
    auto const size = piece->bytes.capacity() + detail::waiting_piece::overhead;
    if (used_ + spare_bytes_ + size > max_bytes_) {
        delete piece;
        return;
    }
    spare_bytes_ += size;
    spare_.push_front(*piece);
}

} // namespace netring_asio::flow

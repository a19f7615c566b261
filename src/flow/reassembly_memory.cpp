#include <netring_asio/flow/reassembly_memory.hpp>

namespace netring_asio::flow {

reassembly_memory::~reassembly_memory() {
    spare_.clear_and_dispose([](detail::waiting_piece* piece) { delete piece; });
}

detail::waiting_piece* reassembly_memory::take(std::size_t size) {
    constexpr std::size_t generous = 4096;
    if (spare_.empty())
        return new detail::waiting_piece;
    auto& piece = spare_.front();
    spare_.pop_front();
    spare_bytes_ -= piece.memory();
    if (piece.bytes.capacity() > 2 * size + generous)
        std::vector<std::byte>{}.swap(piece.bytes);
    return &piece;
}

void reassembly_memory::give_back(detail::waiting_piece* piece) noexcept {
    piece->bytes.clear();
    auto const size = piece->memory();
    if (used_ + spare_bytes_ + size > max_bytes_) {
        delete piece;
        return;
    }
    spare_bytes_ += size;
    spare_.push_front(*piece);
}

} // namespace netring_asio::flow

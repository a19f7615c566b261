#pragma once

#include <netring_asio/detail/api.hpp>

#include <boost/smart_ptr/intrusive_ptr.hpp>

#include <atomic>
#include <cstdint>

namespace netring_asio {

class frame;
struct packet_view;

/// What keeps the memory of packets alive: a ring block, a burst of UMEM chunks, a buffer of a file.
///
/// Derive from it to fill a `packet_batch` of your own: make the owner once, hand it to a batch, and take the memory
/// back in `recycle()`. Nothing is allocated for it per batch.
///
/// @par Thread safety
/// References may be added and released on any thread; `recycle()` runs on the thread that released the last.
class NETRING_ASIO_API packet_owner {
public:
    packet_owner(packet_owner const&) = delete;
    packet_owner& operator=(packet_owner const&) = delete;

    friend void intrusive_ptr_add_ref(packet_owner const* owner) noexcept {
        owner->references_.fetch_add(1, std::memory_order_relaxed);
    }
    friend void intrusive_ptr_release(packet_owner const* owner) noexcept {
        if (owner->references_.fetch_sub(1, std::memory_order_acq_rel) == 1)
            const_cast<packet_owner*>(owner)->recycle();
    }

    /// The packet as a handle of its own; the default shares this owner. Called by `packet_batch::hold`.
    virtual frame hold(packet_view const& packet);

protected:
    packet_owner() = default;
    virtual ~packet_owner() = default;

    /// The last reference is gone: take the memory back. The owner may be handed out again from here on.
    virtual void recycle() noexcept = 0;

    /// Adds a reference unless there is none.
    bool add_reference_if_held() noexcept {
        auto count = references_.load(std::memory_order_relaxed);
        while (count != 0)
            if (references_.compare_exchange_weak(count, count + 1, std::memory_order_relaxed))
                return true;
        return false;
    }

    /// Makes the first reference of an owner that has none, for who alone knows of it.
    void lend() noexcept { references_.store(1, std::memory_order_relaxed); }

    /// Takes the last reference back without a call of `recycle`; false where there are others.
    bool reclaim_if_last() noexcept {
        if (references_.load(std::memory_order_acquire) != 1)
            return false;
        references_.store(0, std::memory_order_relaxed);
        return true;
    }

    bool held() const noexcept { return references_.load(std::memory_order_acquire) != 0; }

private:
    mutable std::atomic<std::uint32_t> references_{0};
};

using packet_owner_ptr = boost::intrusive_ptr<packet_owner>;

} // namespace netring_asio

#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace netring_asio::flow::detail {

/// The product of two words folded to one: mixes all bits of both in three instructions.
inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
    __extension__ using wide = unsigned __int128;
    auto const product = static_cast<wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

inline std::uint64_t load(unsigned char const* at) noexcept {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof word);
    return word;
}

/// A hash of `Size` bytes that a stranger cannot predict without the seed.
template <std::size_t Size>
std::uint64_t hash_bytes(void const* data, std::uint64_t seed) noexcept {
    static constexpr std::uint64_t odd = 0x9e3779b97f4a7c15;
    auto const* at = static_cast<unsigned char const*>(data);
    auto state = seed ^ Size;
    if constexpr (Size < 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, at, Size);
        return mix(word ^ state, odd ^ std::rotl(seed, 32));
    } else {
        std::size_t i = 0;
        for (; i + 16 <= Size; i += 16)
            state = mix(load(at + i) ^ state, load(at + i + 8) ^ odd);
        if constexpr (Size % 16 > 8)
            state = mix(load(at + i) ^ state, load(at + Size - 8) ^ odd);
        else if constexpr (Size % 16 != 0)
            state = mix(load(at + Size - 8) ^ state, odd);
        return mix(state, odd ^ std::rotl(seed, 32));
    }
}

/// Whether keys are equal: by their bytes where these determine the value.
template <class Key>
bool same_key(Key const& a, Key const& b) noexcept {
    if constexpr (std::has_unique_object_representations_v<Key> && sizeof(Key) >= 8) {
        auto const* x = reinterpret_cast<unsigned char const*>(&a);
        auto const* y = reinterpret_cast<unsigned char const*>(&b);
        std::uint64_t difference = 0;
        for (std::size_t i = 0; i + 8 <= sizeof(Key); i += 8)
            difference |= load(x + i) ^ load(y + i);
        if constexpr (sizeof(Key) % 8 != 0)
            difference |= load(x + sizeof(Key) - 8) ^ load(y + sizeof(Key) - 8);
        return difference == 0;
    } else {
        return a == b;
    }
}

/// The hash of a key: of its bytes where they determine its value, else of what `hash_value(key)` gives.
template <class Key>
std::uint64_t hash_key(Key const& key, std::uint64_t seed) noexcept {
    if constexpr (std::has_unique_object_representations_v<Key>) {
        return hash_bytes<sizeof(Key)>(&key, seed);
    } else {
        std::uint64_t const value = hash_value(key);
        return mix(value ^ seed, 0x9e3779b97f4a7c15 ^ std::rotl(seed, 32));
    }
}

} // namespace netring_asio::flow::detail

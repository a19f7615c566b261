#include <netring_asio/flow/detail/hash_index.hpp>

#include <boost/test/unit_test.hpp>

#include <map>
#include <random>

using netring_asio::flow::detail::hash_index;

// Against a map, through many growths and with many equal hashes.
BOOST_AUTO_TEST_CASE(finds_what_was_inserted_and_nothing_else) {
    hash_index index;
    std::map<std::uint32_t, std::uint32_t> model; // record to hash
    std::mt19937 engine{1};
    auto const random = [&engine] { return static_cast<std::uint32_t>(engine()); };
    std::uint32_t next = 0;
    auto const found = [&](std::uint32_t hash, std::uint32_t record) {
        return index.find(hash, [record](std::uint32_t other) { return other == record; });
    };
    for (int step = 0; step != 100'000; ++step) {
        bool const growing = step / 3000 % 3 != 2;
        if (model.empty() || random() % 10 < (growing ? 6U : 3U)) {
            auto const hash = random() % 8 == 0 ? random() % 256 : random();
            index.insert(hash, next);
            model[next++] = hash;
        } else {
            auto at = model.lower_bound(random() % next);
            if (at == model.end())
                at = model.begin();
            BOOST_REQUIRE(found(at->second, at->first) == at->first);
            index.erase(at->second, at->first);
            BOOST_REQUIRE(found(at->second, at->first) == hash_index::none);
            model.erase(at);
        }
        BOOST_REQUIRE(index.size() == model.size());
        if (step % 100 == 0)
            for (auto const& [record, hash] : model)
                BOOST_REQUIRE(found(hash, record) == record);
    }
}

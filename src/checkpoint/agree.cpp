#include "checkpoint/agree.h"

#include <exception>
#include <numeric>

#include "base/error.h"
#include "base/format.h"
#include "checkpoint/tensor_source.h"

namespace moe::checkpoint {
namespace {

View bytes_of(std::string& text) {
  return flat_view(text.data(), DType::U8, static_cast<std::int64_t>(text.size()));
}

View numbers_of(std::vector<std::int64_t>& numbers) {
  return flat_view(numbers.data(), DType::I64, static_cast<std::int64_t>(numbers.size()));
}

std::string reason_to_fail(const comm::Group& group, const std::function<void()>& body) {
  try {
    body();
    return "";
  } catch (const CommError&) {
    throw;  // the group itself is broken: no vote is possible
  } catch (const Error& error) {
    // A signal that ends a lone process says nothing about files.
    constexpr int kSignals = 128;
    if (group.size() == 1 && error.exit_code() > kSignals) throw;
    return *error.what() != '\0' ? error.what() : "unknown failure";
  } catch (const std::exception& error) {
    return *error.what() != '\0' ? error.what() : "unknown failure";
  }
}

}  // namespace

void on_all_ranks(comm::Group& group, const std::function<void()>& body) {
  const std::string reason = reason_to_fail(group, body);
  // The largest of (size - rank) over failed ranks is the lowest failed rank; 0: none.
  std::int64_t failed = reason.empty() ? 0 : group.size() - group.rank();
  group.all_reduce_max(flat_view(&failed, DType::I64, 1)).wait();
  if (failed == 0) return;
  const auto culprit = static_cast<int>(group.size() - failed);
  const std::string told = broadcast_text(group, reason, culprit);
  if (group.size() == 1) throw CheckpointError(told);
  throw CheckpointError(format("rank {}: {}", culprit, told));
}

void on_root(comm::Group& group, const std::function<void()>& body) {
  on_all_ranks(group, [&] {
    if (group.rank() == 0) body();
  });
}

std::string broadcast_text(comm::Group& group, std::string text, int root) {
  if (group.size() == 1) return text;
  auto size = static_cast<std::int64_t>(text.size());
  group.broadcast(flat_view(&size, DType::I64, 1), root).wait();
  text.resize(static_cast<std::size_t>(size));
  if (size > 0) group.broadcast(bytes_of(text), root).wait();
  return text;
}

std::vector<std::string> gather_texts(comm::Group& group, const std::string& text, int root) {
  const auto ranks = static_cast<std::size_t>(group.size());
  std::vector<std::int64_t> sizes(ranks);
  const auto mine = static_cast<std::int64_t>(text.size());
  group.all_gather(flat_view(&mine, DType::I64, 1), numbers_of(sizes)).wait();

  std::vector<std::int64_t> send(ranks, 0);
  send[static_cast<std::size_t>(root)] = mine;
  const bool is_root = group.rank() == root;
  const std::vector<std::int64_t> receive = is_root ? sizes : std::vector<std::int64_t>(ranks, 0);
  const std::int64_t total = std::accumulate(receive.begin(), receive.end(), std::int64_t{0});
  std::string all(static_cast<std::size_t>(total), '\0');
  group.all_to_all(flat_view(text.data(), DType::U8, mine), send, bytes_of(all), receive).wait();
  if (!is_root) return {};

  std::vector<std::string> texts;
  std::size_t at = 0;
  for (const std::int64_t size : sizes) {
    texts.push_back(all.substr(at, static_cast<std::size_t>(size)));
    at += static_cast<std::size_t>(size);
  }
  return texts;
}

}  // namespace moe::checkpoint

#include "parallel/parallel_config.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/format.h"
#include "config/decode.h"

namespace moe::parallel {
namespace {

ModelConfig model_of(std::int64_t experts) {
  ModelConfig model;
  model.num_experts = experts;
  return model;
}

TEST(ParallelConfig, WhatFitsBecomesALayout) {
  struct Row {
    std::optional<std::int64_t> data;
    std::int64_t expert;
    std::int64_t experts;
    int world;
  };
  for (const Row& row : std::initializer_list<Row>{{{}, 1, 0, 1},
                                                   {{}, 1, 0, 6},
                                                   {4, 1, 7, 4},
                                                   {{}, 2, 6, 4},
                                                   {8, 8, 8, 8},
                                                   {{}, 3, 9, 6}}) {
    const mesh::MeshLayout layout =
        make_layout({.data = row.data, .expert = row.expert}, model_of(row.experts), row.world);
    EXPECT_EQ(layout.world(), row.world);
    EXPECT_EQ(layout.degrees().data(), row.world);
    EXPECT_EQ(layout.degrees().data_replicate, row.world);
    EXPECT_EQ(layout.degrees().expert, row.expert);
    EXPECT_EQ(layout.expert_data(), row.world / row.expert);
  }
}

TEST(ParallelConfig, WhatDoesNotFitIsRefusedByKey) {
  struct Row {
    std::optional<std::int64_t> data;
    std::int64_t expert;
    std::int64_t experts;
    int world;
    const char* message;
  };
  for (const Row& row : std::initializer_list<Row>{
           {3, 1, 0, 4, "parallel.data: expected 4 (the number of ranks), got 3"},
           {5, 1, 0, 4, "parallel.data: expected 4"},
           {{}, 3, 6, 4, "parallel.expert: must divide the 4 data ranks, got 3"},
           {{}, 8, 8, 4, "parallel.expert: must divide the 4 data ranks, got 8"},
           {{}, 2, 0, 4, "parallel.expert: must divide model.num_experts (0), got 2"},
           {{}, 4, 6, 4, "parallel.expert: must divide model.num_experts (6), got 4"}}) {
    try {
      make_layout({.data = row.data, .expert = row.expert}, model_of(row.experts), row.world);
      ADD_FAILURE() << row.message << ": was accepted";
    } catch (const ConfigError& error) {
      EXPECT_NE(std::string(error.what()).find(row.message), std::string::npos) << error.what();
    }
  }
}

TEST(ParallelConfig, AllProblemsAreToldAtOnce) {
  try {
    make_layout({.data = 6, .expert = 4}, model_of(6), 8);
    ADD_FAILURE() << "was accepted";
  } catch (const ConfigError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("parallel.data: expected 8"), std::string::npos) << text;
    EXPECT_NE(text.find("must divide the 6 data ranks"), std::string::npos) << text;
    EXPECT_NE(text.find("must divide model.num_experts"), std::string::npos) << text;
    EXPECT_NE(text.back(), '\n');
  }
}

TEST(ParallelConfig, DecodesWithItsBounds) {
  const auto decoded = [](const char* text) {
    return config::decode<ParallelConfig>(config::Document::parse(text, "parallel"));
  };
  const ParallelConfig given = decoded("{data: 4, expert: 2, bucket_mib: 7, overlap: false}");
  EXPECT_EQ(given.data, 4);
  EXPECT_EQ(given.expert, 2);
  EXPECT_EQ(given.bucket_mib, 7);
  EXPECT_FALSE(given.overlap);
  EXPECT_FALSE(decoded("{data: auto}").data.has_value());
  for (const char* bad : {"{data: 0}", "{expert: 0}", "{bucket_mib: 0}", "{bucket_mib: 4097}",
                          "{overlap: 1}", "{tensor: 2}"}) {
    EXPECT_THROW(decoded(bad), ConfigError) << bad;
  }
}

}  // namespace
}  // namespace moe::parallel

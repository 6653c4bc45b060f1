# Reference values of tests/pipelines/lab/bench/test_clusters.py on the 1,115 stores of Rossmann. Run with the
# folder of the public data:
#   python -c "import sys; from pathlib import Path; from pipelines.lab.bench.rossmann_stores import read_profiles
#   read_profiles(Path(sys.argv[1])).to_csv('/tmp/profiles.csv')" DATA/rossmann
#   Rscript rossmann.R /tmp/profiles.csv > rossmann.json
# R 4.2.2, cluster 2.1.4, FactoMineR 2.7, jsonlite 1.8.4.
suppressMessages({library(cluster); library(FactoMineR); library(jsonlite)})
x <- read.csv(commandArgs(TRUE)[1], row.names = 1, stringsAsFactors = TRUE, na.strings = "")
x$assortment <- factor(x$assortment, ordered = TRUE)
d <- daisy(x, metric = "gower", type = list(symm = "promo2"), warnType = FALSE)
out <- list(distance_sum = sum(d), distance_quantiles = unname(quantile(d, 0:10 / 10)))

scaling <- cmdscale(sqrt(d), k = 8, eig = TRUE)
out$eig <- scaling$eig[1:8]
ward <- agnes(scaling$points, method = "ward")
out$ward_heights <- rev(sort(ward$height))[1:10]
out$ward_sizes <- sort(as.vector(table(cutree(as.hclust(ward), 9))))
out$silhouette <- sapply(2:10, function(k) {
  mean(silhouette(cutree(as.hclust(ward), k), d)[, "sil_width"])
})

numeric <- x[, !(names(x) %in% c("store_type", "assortment", "promo2", "log_distance"))]
pca <- PCA(numeric, ncp = 5, graph = FALSE)
hcpc <- HCPC(pca, nb.clust = -1, min = 3, max = 10, consol = FALSE, graph = FALSE, description = FALSE)
out$hcpc <- list(eig = unname(pca$eig[1:5, 1]), gain = hcpc$call$t$inert.gain[1:9],
                 chosen = hcpc$call$t$nb.clust, sizes = sort(as.vector(table(hcpc$data.clust$clust))))
cat(toJSON(out, digits = 12, auto_unbox = TRUE))

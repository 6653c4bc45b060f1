# Reference values of tests/models/clustering; run in this folder:
#   Rscript stores.R > stores.json
# R 4.2.2, cluster 2.1.4, FactoMineR 2.7, fpc 2.2.10, jsonlite 1.8.4.
suppressMessages({library(cluster); library(FactoMineR); library(jsonlite)})
x <- read.csv("stores.csv", row.names = 1, stringsAsFactors = FALSE, na.strings = "")
x$type <- factor(x$type)
x$size <- factor(x$size, levels = c("small", "medium", "large"), ordered = TRUE)
types <- list(asymm = "bakery", symm = "city")
weights <- c(2, 1, 1, 1, 0.5, 1, 3, 1, 1, 0)
out <- list()

# Dissimilarities, with missing values; below the diagonal, by column.
d <- daisy(x, metric = "gower", type = types, warnType = FALSE)
out$daisy <- as.vector(d)
out$daisy_weighted <- as.vector(
  daisy(x, metric = "gower", type = types, weights = weights, warnType = FALSE))

# Trees and silhouettes.
for (method in c("average", "complete")) {
  tree <- agnes(d, diss = TRUE, method = method)
  out[[paste0("agnes_", method)]] <- list(height = sort(tree$height), four = cutree(as.hclust(tree), 4))
}
out$silhouette <- sapply(2:6, function(k) {
  mean(silhouette(cutree(as.hclust(agnes(d, diss = TRUE, method = "average")), k), d)[, "sil_width"])
})

# Principal coordinates of the roots of the dissimilarities, and Ward's tree on them.
scaling <- cmdscale(sqrt(d), k = 6, eig = TRUE)
ward <- agnes(scaling$points, method = "ward")
out$cmdscale <- list(points = unname(scaling$points), eig = scaling$eig)
out$ward <- list(height = sort(ward$height), hclust = hclust(dist(scaling$points), "ward.D2")$height,
                 four = cutree(as.hclust(ward), 4))

# Principal components, number of clusters, consolidation, exemplars of the complete numeric columns.
numeric <- x[, c("turnover", "sunday", "basket")]
pca <- PCA(numeric, scale.unit = TRUE, ncp = 3, graph = FALSE)
hcpc <- function(...) HCPC(pca, graph = FALSE, nb.par = 3, proba = 1, ...)
found <- hcpc(nb.clust = -1, min = 3, max = 10, consol = TRUE)
plain <- hcpc(nb.clust = -1, min = 3, max = 10, consol = FALSE)
clusters <- function(result) as.integer(result$data.clust[rownames(numeric), "clust"])
named <- function(values) lapply(values, function(v) names(v))
out$hcpc <- list(
  eig = unname(pca$eig[, 1]), coord = unname(pca$ind$coord), gain = found$call$t$inert.gain[1:9],
  within = found$call$t$within[1:10], quotient = found$call$t$quot, chosen = found$call$t$nb.clust,
  consolidated = clusters(found), plain = clusters(plain),
  between_before = found$call$bw.before.consol, between_after = found$call$bw.after.consol,
  paragons = named(found$desc.ind$para), distinctive = named(found$desc.ind$dist))

# Descriptions of the four clusters of Ward's tree: columns without missing numbers.
described <- data.frame(
  numeric, type = x$type, city = factor(x$city), cluster = factor(cutree(as.hclust(ward), 4)))
catdes <- catdes(described, num.var = ncol(described), proba = 1)
table <- function(m) list(names = rownames(m), values = unname(as.matrix(m)))
out$catdes <- list(
  quanti = lapply(catdes$quanti, table), category = lapply(catdes$category, table),
  quanti_var = table(catdes$quanti.var), chi2 = table(catdes$test.chi2))

# Stability of the same four clusters.
boot <- fpc::clusterboot(
  scaling$points, B = 2000, bootmethod = "boot", clustermethod = fpc::hclustCBI, method = "ward.D2",
  scaling = FALSE, k = 4, seed = 1, count = FALSE)
out$clusterboot <- list(mean = boot$bootmean, brd = boot$bootbrd, recover = boot$bootrecover,
                        partition = boot$partition)
cat(toJSON(out, digits = 12, auto_unbox = TRUE))
